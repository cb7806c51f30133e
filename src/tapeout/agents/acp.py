"""Agents that speak the Agent Client Protocol: the client side, on the official SDK.

We offer no capabilities: no file access and no terminals, for an agent has its own copy of the code and its own
shell, and no forms to fill in; a request for them is answered "method not found". None of the agents in the catalog
needs them. Permission requests are answered by policy, at once or when somebody whom it asks has answered, in any case
in bounded time.

A session of a process that has ended is taken up with `session/resume`, which says nothing, or `session/load`, which
replays the conversation as updates: those are counted into the estimate of the context and otherwise passed over.

What may go wrong, and what is raised: the program is missing (`AgentNotInstalled`), ends (`AgentDied`, with the end
of its standard error), prints something else (`AgentProtocolError`), does not answer in time (`AgentTimeout`), or
answers with an error of its own (`AgentError`). Two adapters report errors of their model's API as a normal end of
the turn: judge a turn by git.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import anyio
from acp import PROTOCOL_VERSION, RequestError, text_block
from acp.core import ClientSideConnection
from acp.schema import (
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    Implementation,
    LoadSessionResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    RequestPermissionResponse,
    ResumeSessionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from tapeout import __version__
from tapeout.agents.choices import Decision, PermissionPolicy, Question, choose_mode, choose_option
from tapeout.agents.endings import how_it_ended, last_words
from tapeout.agents.errors import AgentDied, AgentError, AgentProtocolError, AgentTimeout, CannotResume
from tapeout.agents.lines import LINE_LIMIT
from tapeout.agents.process import AgentProcess
from tapeout.agents.program import find_program
from tapeout.agents.recorder import Recorder
from tapeout.agents.render import plain
from tapeout.agents.session import ANSWER_TAIL, AgentSpec, TurnResult
from tapeout.agents.updates import (
    Failure,
    Notice,
    Permission,
    Spent,
    Text,
    UpdateReader,
    Usage,
    replayed_prompt,
    spent_in_turn,
)
from tapeout.agents.windows import configured_model
from tapeout.agents.wire import Wire
from tapeout.base.errors import TapeoutError
from tapeout.base.sandbox import Confinement

CANCEL_GRACE = 1.0
"""Seconds that a cancelled prompt waits to get the cancel message into a full pipe."""

DEATH_GRACE = 1.0
"""Seconds that an agent which closed its output has to end, before it is reported as alive but silent."""

_AUTH_REQUIRED = -32000
_Result = TypeVar("_Result")


@asynccontextmanager
async def acp_session(
    spec: AgentSpec,
    *,
    cwd: str,
    env: Mapping[str, str],
    recorder: Recorder,
    permissions: PermissionPolicy,
    start_timeout: float,
    confinement: Confinement,
    resume: str | None = None,
) -> AsyncIterator["AcpSession"]:
    """A session with an ACP agent; see `open_session`."""
    argv = [find_program(spec, cwd, env), *spec.command[1:]]
    process = await AgentProcess.start(argv, cwd=cwd, env=env, line_limit=LINE_LIMIT, confinement=confinement)
    session = AcpSession(spec, process, recorder, permissions)
    try:
        try:
            with anyio.fail_after(start_timeout):
                await session.start(cwd, resume)
        except TimeoutError as error:
            raise session.fail(session.too_slow(start_timeout)) from error
        yield session
    finally:
        await session.close()


class AcpSession:
    """One session with one agent process of its own."""

    def __init__(
        self, spec: AgentSpec, process: AgentProcess, recorder: Recorder, permissions: PermissionPolicy
    ) -> None:
        self._spec = spec
        self._process = process
        self._recorder = recorder
        self._permissions = permissions
        self._updates = UpdateReader()
        self._wire = Wire(spec.name, process, self._on_session_update, self._on_stray)
        # The client's methods that are missing are answered "method not found".
        self._connection = ClientSideConnection(cast(Any, self), self._wire)
        self._id = ""
        self._turn_running = False
        self._interrupted = False
        self._answer = ""
        self._model = configured_model(spec.command, spec.env)
        self._resumes = False
        self._loads = False
        self._replaying = False
        self._cancelled = anyio.Event()

    @property
    def id(self) -> str:
        """The agent's name for the session."""
        return self._id

    @property
    def can_resume(self) -> bool:
        """Whether the agent says that it can."""
        return self._resumes or self._loads

    @property
    def model(self) -> str:
        """The model, by the agent's word or by its configuration."""
        return self._model

    async def start(self, cwd: str, resume: str | None) -> None:
        """Shake hands, open the session or take it up again, choose the mode."""
        agent = await self._ask(
            "initialize",
            self._connection.initialize(
                protocol_version=PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(),
                client_info=Implementation(name="tapeout", title="Tapeout", version=__version__),
            ),
        )
        can = agent.agent_capabilities
        self._loads = can is not None and bool(can.load_session)
        self._resumes = (
            can is not None and can.session_capabilities is not None and (can.session_capabilities.resume is not None)
        )
        if resume is None:
            opened = await self._ask("session/new", self._connection.new_session(cwd=cwd, mcp_servers=[]))
            self._id = opened.session_id
            await self._settle(opened)
        else:
            self._id = resume
            await self._settle(await self._take_up(cwd, resume))

    async def _take_up(self, cwd: str, session: str) -> LoadSessionResponse | ResumeSessionResponse:
        """Go on with a session of before."""
        if not self.can_resume:
            raise self.fail(
                CannotResume(f"{self._spec.name} cannot go on with an earlier session", hint="open a new session")
            )
        self._replaying = True
        try:
            if self._resumes:
                return await self._connection.resume_session(session_id=session, cwd=cwd, mcp_servers=[])
            return await self._connection.load_session(session_id=session, cwd=cwd, mcp_servers=[])
        except RequestError as error:
            refusal = _refused(self._spec.name, "the request to go on with a session", error)
            raise self.fail(CannotResume(refusal.message, hint=refusal.hint or "open a new session")) from error
        except (ConnectionError, ValidationError) as error:
            raise self.fail(await self._explain("session/load", error)) from error
        finally:
            self._replaying = False

    async def prompt(self, text: str) -> TurnResult:
        """One turn; see `Session.prompt`."""
        if self._interrupted or self._turn_running:
            raise AgentError(f"{self._spec.name}: the session's last turn has not ended")
        self._answer = ""
        self._recorder.prompted(text)
        self._turn_running = True
        self._cancelled = anyio.Event()
        try:
            response = await self._ask(
                "session/prompt", self._connection.prompt(session_id=self._id, prompt=[text_block(text)])
            )
        except anyio.get_cancelled_exc_class():
            self._interrupted = True
            with anyio.CancelScope(shield=True):
                await self.cancel()
            self._recorder.turn_ended("interrupted")
            raise
        finally:
            self._turn_running = False
            self._recorder.flush()
        self._recorder.turn_ended(response.stop_reason, _spent(response))
        return TurnResult(response.stop_reason, self._answer, self._recorder.meter.usage)

    async def cancel(self) -> None:
        """Ask the agent to end the running turn."""
        if self._turn_running:
            self._cancelled.set()
            with anyio.move_on_after(CANCEL_GRACE), contextlib.suppress(ConnectionError):
                await self._connection.cancel(self._id)

    async def close(self) -> None:
        """End the connection and the process."""
        with anyio.CancelScope(shield=True):
            await self._connection.close()
            await self._process.close()
            self._recorder.flush()

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_more: Any
    ) -> RequestPermissionResponse:
        """The SDK calls this when the agent asks for permission."""
        title = tool_call.title or self._updates.title(tool_call.tool_call_id) or "a permission"
        offered = [(option.option_id, option.kind) for option in options]
        question = Question(plain(title)[:1000], tuple((option.kind, plain(option.name)[:200]) for option in options))
        decided = await self._decide(question)
        parked = self._permissions.permissions == "ask"
        chosen = None if decided is None else choose_option(offered, decided, once=parked)
        decision = "cancelled" if chosen is None else chosen[1]
        self._recorder.update(Permission(title, tuple(kind for _, kind in offered), decision))
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen[0]))

    async def _decide(self, question: Question) -> Decision | None:
        """The answer to a request by our policy; None when its turn was cancelled meanwhile."""
        policy = self._permissions
        if policy.permissions != "ask":
            return policy.permissions
        decision: Decision | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_cancelled, tasks.cancel_scope)
            decision = await self._answer_to(question)
            tasks.cancel_scope.cancel()
        return decision

    async def _until_cancelled(self, scope: anyio.CancelScope) -> None:
        await self._cancelled.wait()
        scope.cancel()

    async def _answer_to(self, question: Question) -> Decision:
        """What somebody says; no when nobody does in time."""
        policy = self._permissions
        reason = "there is nobody to ask"
        if policy.ask is not None:
            reason = f"nobody answered within {policy.seconds:g} s"
            try:
                with anyio.move_on_after(policy.seconds):
                    answer = await policy.ask(question)
                    if answer is not None:
                        return answer
                    reason = "nobody decided"
            except (TapeoutError, OSError) as error:
                reason = f"the question could not be asked: {error}"
        self._recorder.update(Notice(f"{reason}: {question.title} was denied"))
        return "deny"

    def fail(self, error: AgentError) -> AgentError:
        """Record an error that is about to be raised."""
        self._recorder.flush()
        self._recorder.note(Failure(error.message))
        return error

    def too_slow(self, seconds: float) -> AgentTimeout:
        """The error for a session that did not start in time."""
        printed = last_words(self._process)
        return AgentTimeout(
            f"{self._spec.name} did not start a session within {seconds:g} s{printed}",
            hint="raise floor.start_timeout, or start the program by hand to see what it waits for",
        )

    async def _settle(self, response: NewSessionResponse | LoadSessionResponse | ResumeSessionResponse) -> None:
        """Note the model, choose the mode."""
        chosen = [option.current_value for option in response.config_options or () if option.category == "model"]
        self._model = next((plain(name)[:100] for name in chosen if isinstance(name, str)), self._model)
        wanted = [mode for mode in (self._spec.mode, *self._spec.fallback_modes) if mode]
        modes = response.modes
        offered = [mode.id for mode in modes.available_modes] if modes else []
        mode, notice = choose_mode(wanted, offered, modes.current_mode_id if modes else "")
        if mode is not None:
            notice = await self._set_mode(mode)
        if notice is not None:
            self._recorder.update(Notice(notice))

    async def _set_mode(self, mode: str) -> str | None:
        """Switch to a mode that is offered; what to tell if the agent refuses."""
        try:
            await self._connection.set_session_mode(session_id=self._id, mode_id=mode)
        except RequestError as error:
            return f"the agent refused mode {mode}: {error}"
        except (ConnectionError, ValidationError) as error:
            raise self.fail(await self._explain("session/set_mode", error)) from error
        return None

    def _on_session_update(self, params: Mapping[str, Any]) -> None:
        update = self._updates.read(params.get("update"))
        if self._replaying and not isinstance(update, Usage):
            self._recorder.meter.replayed(update, len(replayed_prompt(params.get("update"))))
            return
        if update is None:
            return
        if isinstance(update, Text):
            self._answer = (self._answer + update.text)[-ANSWER_TAIL:]
        self._recorder.update(update)

    def _on_stray(self, line: str) -> None:
        self._recorder.update(Notice(f"{self._spec.name} printed a line that is no message: {line}"))

    async def _ask(self, method: str, request: Awaitable[_Result]) -> _Result:
        try:
            return await request
        except (RequestError, ConnectionError, ValidationError) as error:
            raise self.fail(await self._explain(method, error)) from error

    async def _explain(self, method: str, error: RequestError | ConnectionError | ValidationError) -> AgentError:
        """What to tell about a failed request; raises what is not the agent's fault."""
        if isinstance(error, RequestError):
            return _refused(self._spec.name, method, error)
        if isinstance(error, ValidationError):
            reason = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in reason["loc"])
            return AgentProtocolError(
                f"{self._spec.name} answered {method} with something else: {field}: {reason['msg']}"
            )
        failure = self._wire.failure
        if isinstance(failure, AgentError):
            return failure
        if failure is not None:
            raise failure
        if not await self._process.wait(DEATH_GRACE):
            return AgentProtocolError(f"{self._spec.name} closed its standard output{last_words(self._process)}")
        how, said = how_it_ended(self._process.returncode), last_words(self._process)
        if not self._wire.spoke and self._wire.stray() != '""':
            return AgentProtocolError(
                f"{self._spec.name} does not speak ACP: it printed {self._wire.stray()} and {how}{said}"
            )
        return AgentDied(f"{self._spec.name} {how}{said}")


def _spent(response: PromptResponse) -> Spent | None:
    """What a turn has spent, by the agent's own account."""
    if response.usage is not None:
        return spent_in_turn(response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)
    quota = (response.field_meta or {}).get("quota")  # Gemini CLI's way
    tokens = quota.get("token_count") if isinstance(quota, Mapping) else None
    return (
        spent_in_turn(tokens.get("input_tokens"), tokens.get("output_tokens")) if isinstance(tokens, Mapping) else None
    )


def _refused(name: str, method: str, error: RequestError) -> AgentError:
    detail = _detail(error.data)
    text = " ".join(plain(f"{error}{f' ({detail})' if detail else ''}").split())[:500]
    hint = (
        "log in with the agent's own program, or pass its API key with pass_env"
        if (error.code == _AUTH_REQUIRED)
        else None
    )
    return AgentError(f"{name} answered {method} with an error: {text}", hint=hint)


def _detail(data: object) -> str:
    """The readable part of an error's data."""
    if isinstance(data, str):
        return data
    if not isinstance(data, Mapping):
        return ""
    known: Sequence[object] = [data.get(key) for key in ("details", "message", "error")]
    return next((text for text in known if isinstance(text, str)), "")
