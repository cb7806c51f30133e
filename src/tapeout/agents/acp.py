"""Agents that speak the Agent Client Protocol: the client side, on the official SDK.

We offer no capabilities: no file access and no terminals, for an agent has its own copy of the code and its own
shell; a request for them is answered "method not found". Permission requests are answered at once, by policy.

What may go wrong, and what is raised: the program is missing (`AgentNotInstalled`), ends (`AgentDied`, with the end
of its standard error), prints something else (`AgentProtocolError`), does not answer in time (`AgentTimeout`), or
answers with an error of its own (`AgentError`). Two adapters report errors of their model's API as a normal end of
the turn: judge a turn by git.
"""

import contextlib
import signal
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
    NewSessionResponse,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from pydantic import ValidationError

from tapeout import __version__
from tapeout.agents.choices import Permissions, choose_mode, choose_option
from tapeout.agents.errors import AgentDied, AgentError, AgentProtocolError, AgentTimeout
from tapeout.agents.process import AgentProcess
from tapeout.agents.program import find_program
from tapeout.agents.recorder import Recorder
from tapeout.agents.render import plain
from tapeout.agents.session import ANSWER_TAIL, AgentSpec, TurnResult
from tapeout.agents.updates import (
    Failure,
    Notice,
    Permission,
    Prompt,
    Text,
    TurnEnded,
    UpdateReader,
    Usage,
)
from tapeout.agents.wire import LINE_LIMIT, Wire
from tapeout.base.sandbox import Confinement

CANCEL_GRACE = 1.0
"""Seconds that a cancelled prompt waits to get the cancel message into a full pipe."""

DEATH_GRACE = 1.0
"""Seconds that an agent which closed its output has to end, before it is reported as alive but silent."""

STDERR_LINES = 5
"""Last lines of standard error quoted in a message."""

_AUTH_REQUIRED = -32000
_Result = TypeVar("_Result")


@asynccontextmanager
async def acp_session(
    spec: AgentSpec,
    *,
    cwd: str,
    env: Mapping[str, str],
    recorder: Recorder,
    permissions: Permissions,
    start_timeout: float,
    confinement: Confinement,
) -> AsyncIterator["AcpSession"]:
    """A session with an ACP agent; see `open_session`."""
    argv = [find_program(spec, cwd, env), *spec.command[1:]]
    process = await AgentProcess.start(argv, cwd=cwd, env=env, line_limit=LINE_LIMIT, confinement=confinement)
    session = AcpSession(spec, process, recorder, permissions)
    try:
        try:
            with anyio.fail_after(start_timeout):
                await session.start(cwd)
        except TimeoutError as error:
            raise session.fail(session.too_slow(start_timeout)) from error
        yield session
    finally:
        await session.close()


class AcpSession:
    """One session with one agent process of its own."""

    def __init__(self, spec: AgentSpec, process: AgentProcess, recorder: Recorder, permissions: Permissions) -> None:
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
        self._usage: Usage | None = None

    @property
    def id(self) -> str:
        """The agent's name for the session."""
        return self._id

    async def start(self, cwd: str) -> None:
        """Shake hands, open the session, choose the mode."""
        await self._ask(
            "initialize",
            self._connection.initialize(
                protocol_version=PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(),
                client_info=Implementation(name="tapeout", title="Tapeout", version=__version__),
            ),
        )
        response = await self._ask("session/new", self._connection.new_session(cwd=cwd, mcp_servers=[]))
        self._id = response.session_id
        await self._set_mode(response)

    async def prompt(self, text: str) -> TurnResult:
        """One turn; see `Session.prompt`."""
        if self._interrupted or self._turn_running:
            raise AgentError(f"{self._spec.name}: the session's last turn has not ended")
        self._answer = ""
        self._recorder.note(Prompt(text))
        self._turn_running = True
        try:
            response = await self._ask(
                "session/prompt", self._connection.prompt(session_id=self._id, prompt=[text_block(text)])
            )
        except anyio.get_cancelled_exc_class():
            self._interrupted = True
            with anyio.CancelScope(shield=True):
                await self.cancel()
            self._recorder.note(TurnEnded("interrupted"))
            raise
        finally:
            self._turn_running = False
            self._recorder.flush()
        self._recorder.note(TurnEnded(response.stop_reason))
        return TurnResult(response.stop_reason, self._answer, self._usage)

    async def cancel(self) -> None:
        """Ask the agent to end the running turn."""
        if self._turn_running:
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
        chosen = choose_option(offered, self._permissions)
        decision = "cancelled" if chosen is None else chosen[1]
        self._recorder.update(Permission(title, tuple(kind for _, kind in offered), decision))
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen[0]))

    def fail(self, error: AgentError) -> AgentError:
        """Record an error that is about to be raised."""
        self._recorder.flush()
        self._recorder.note(Failure(error.message))
        return error

    def too_slow(self, seconds: float) -> AgentTimeout:
        """The error for a session that did not start in time."""
        printed = self._said()
        return AgentTimeout(
            f"{self._spec.name} did not start a session within {seconds:g} s{printed}",
            hint="raise floor.start_timeout, or start the program by hand to see what it waits for",
        )

    async def _set_mode(self, response: NewSessionResponse) -> None:
        wanted = [mode for mode in (self._spec.mode, *self._spec.fallback_modes) if mode]
        modes = response.modes
        offered = [mode.id for mode in modes.available_modes] if modes else []
        mode, notice = choose_mode(wanted, offered, modes.current_mode_id if modes else "")
        if mode is not None:
            try:
                await self._connection.set_session_mode(session_id=self._id, mode_id=mode)
            except RequestError as error:
                notice = f"the agent refused mode {mode}: {error}"
            except (ConnectionError, ValidationError) as error:
                raise self.fail(await self._explain("session/set_mode", error)) from error
        if notice is not None:
            self._recorder.update(Notice(notice))

    def _on_session_update(self, params: Mapping[str, Any]) -> None:
        update = self._updates.read(params.get("update"))
        if update is None:
            return
        if isinstance(update, Text):
            self._answer = (self._answer + update.text)[-ANSWER_TAIL:]
        if isinstance(update, Usage):
            self._usage = update
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
            return AgentProtocolError(f"{self._spec.name} closed its standard output{self._said()}")
        how = _how_it_ended(self._process.returncode)
        if not self._wire.spoke and self._wire.stray() != '""':
            return AgentProtocolError(
                f"{self._spec.name} does not speak ACP: it printed {self._wire.stray()} and {how}{self._said()}"
            )
        return AgentDied(f"{self._spec.name} {how}{self._said()}")

    def _said(self) -> str:
        lines = [line.strip() for line in plain(self._process.stderr()).splitlines() if line.strip()]
        return ": " + " | ".join(lines[-STDERR_LINES:]) if lines else ""


def _how_it_ended(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"was killed by {name}"
    return f"ended with exit code {returncode}"


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
