"""A session that outlives its agent's process: when that dies in a turn, the agent is started again and goes on.

Only where the agent can take up its own conversation, in the same folder; and not for ever: a program that dies again
and again has a reason. Nobody else notices, but for a notice and a turn that takes longer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from tapeout.agents.errors import AgentDied, AgentError
from tapeout.agents.session import Session, TurnResult

LIVES = 3
"""How often the process of one session may be started."""

GO_ON = (
    "Your process was killed in the middle of its work, and what it was running with it. Look at what is done already, "
    "and go on from there. In case you do not know it any more, this is what you were told:\n\n"
)
"""What precedes the prompt of the turn: an agent that dies early has not kept it."""


@asynccontextmanager
async def lasting_session(
    open_one: Callable[[str | None], AbstractAsyncContextManager[Session]], *, reap: Callable[[], Awaitable[None]]
) -> AsyncIterator[Session]:
    """A session that is taken up again after the death of its process.

    `open_one` opens it, with the `resume` of `open_session`. `reap` ends what a dead process left running, so that it
    does not work beside its successor.
    """
    async with AsyncExitStack() as opened:
        session = _Lasting(open_one, reap, opened)
        await session.begin()
        yield session


class _Lasting:
    """The session that runs now, and how to start the next."""

    def __init__(
        self,
        open_one: Callable[[str | None], AbstractAsyncContextManager[Session]],
        reap: Callable[[], Awaitable[None]],
        opened: AsyncExitStack,
    ) -> None:
        self._open_one = open_one
        self._reap = reap
        self._opened = opened
        self._lives = 0
        self._is_closed = False
        self._is_cancelled = False
        self._session: Session

    async def begin(self, resume: str | None = None) -> None:
        """Open the session, or take it up."""
        self._lives += 1
        self._session = await self._opened.enter_async_context(self._open_one(resume))

    @property
    def id(self) -> str:
        """The agent's own name for the session."""
        return self._session.id

    @property
    def can_resume(self) -> bool:
        """Whether it can be taken up."""
        return self._session.can_resume

    @property
    def model(self) -> str:
        """The model, if anybody says."""
        return self._session.model

    async def prompt(self, text: str) -> TurnResult:
        """One turn, through as many processes as it takes."""
        asked, self._is_cancelled = text, False
        while True:
            try:
                return await self._session.prompt(asked)
            except AgentDied as death:
                if self._is_closed or self._is_cancelled or not self._session.can_resume or self._lives >= LIVES:
                    raise
                await self._take_up(death)
                asked = GO_ON + text

    async def cancel(self) -> None:
        """Ask the agent to end the running turn."""
        self._is_cancelled = True  # until the next prompt: it may die of it
        await self._session.cancel()

    async def close(self) -> None:
        """End the agent's process, for good."""
        self._is_closed = True
        await self._session.close()

    async def _take_up(self, death: AgentDied) -> None:
        """Start the agent again; if it does not get anywhere, what counts is that it died."""
        await self._session.close()
        await self._reap()
        try:
            await self.begin(self._session.id)
        except AgentError as error:
            raise death from error
