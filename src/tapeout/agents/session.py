"""The interface of every agent: what to start, what a session can do, how it ends."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tapeout.agents.choices import PARK_SECONDS, OnPermission, PermissionPolicy, Permissions
from tapeout.agents.errors import CannotResume
from tapeout.agents.meter import HIDDEN_TOKENS, Meter
from tapeout.agents.recorder import Recorder, Terminal
from tapeout.agents.transcript import Transcript
from tapeout.agents.updates import Update, Usage
from tapeout.agents.windows import configured_model, window_of
from tapeout.base.sandbox import UNCONFINED, Confinement

ANSWER_TAIL = 16 * 1024
"""Characters kept of what an agent said in a turn."""


Driver = Literal["acp", "command", "claude-headless", "codex-headless"]
"""How to talk to a program: the Agent Client Protocol; a process a prompt; the JSON streams of `claude -p` and of
`codex exec --json`."""


@dataclass(frozen=True)
class AgentSpec:
    """An agent program and how to talk to it."""

    name: str
    driver: Driver
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables to set."""
    pass_env: tuple[str, ...] = ()
    """Variables to take from our own environment, if set."""
    mode: str | None = None
    """ACP session mode to switch to, if the agent offers it."""
    fallback_modes: tuple[str, ...] = ()
    """Modes to try if it does not, in order."""
    home: tuple[str, ...] = ()
    """Globs of its login and settings in the user's home."""
    hosts: tuple[str, ...] = ()
    """Hosts of its model, as `HOST` or `HOST:PORT`."""
    install: str = ""
    """How to install it, for a message."""
    window: int | None = None
    """Tokens that its context holds, whatever it says itself."""


@dataclass(frozen=True)
class TurnResult:
    """How a turn ended. What the agent says in it is no evidence of anything."""

    stop_reason: str
    """`end_turn`, `max_tokens`, `max_turn_requests`, `refusal`, `cancelled`, or `error` (a command's exit code)."""
    text: str
    """The end of what the agent said: the last 16,384 characters."""
    usage: Usage | None
    """The last usage report of the session, if there was any."""


class Session(Protocol):
    """A conversation with an agent that works in one folder."""

    @property
    def id(self) -> str:
        """The agent's own name for the session. Empty until a headless agent has told it, in its first turn."""
        ...

    @property
    def can_resume(self) -> bool:
        """Whether `open_session(..., resume=id)` may go on with this session after the end of its process."""
        ...

    @property
    def model(self) -> str:
        """The model, by the agent's word or by its configuration; empty if nobody says."""
        ...

    async def prompt(self, text: str) -> TurnResult:
        """One turn. When the calling task is cancelled, the agent is told to stop, and the session can only be closed.

        Raises:
            AgentError: the agent died, spoke rubbish, or answered with an error.
        """
        ...

    async def cancel(self) -> None:
        """Ask the agent to end the running turn: `prompt` then returns with `cancelled`. No turn: does nothing."""
        ...

    async def close(self) -> None:
        """End the agent's process. Safe to call again. What it left running is for the caller to reap."""
        ...


def session_environment(
    spec: AgentSpec, env: Mapping[str, str], ours: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The agent's environment: `env`, what `pass_env` takes from `ours`, and the agent's own variables on top."""
    passed = {name: ours[name] for name in spec.pass_env if name in ours}
    return {**env, **passed, **spec.env}


def open_session(
    spec: AgentSpec,
    *,
    cwd: str,
    env: Mapping[str, str],
    on_update: Callable[[Update], None],
    transcript: Transcript,
    terminal: Terminal,
    permissions: Permissions = "allow",
    start_timeout: float = 60.0,
    confinement: Confinement = UNCONFINED,
    resume: str | None = None,
    on_permission: OnPermission | None = None,
    park_seconds: float = PARK_SECONDS,
    meter: Meter | None = None,
) -> AbstractAsyncContextManager[Session]:
    """Start an agent in the folder `cwd`; leaving the context ends its process.

    `env` is its whole environment, except for what `spec` adds. `on_update` is called in order, in the event loop, and
    must not block. `start_timeout` is in seconds. `confinement` holds for every process of the agent.

    `resume` is the `Session.id` of an earlier session whose process has ended, in the same folder with the same home:
    the agent goes on with what it knew. What it replays of it is neither recorded nor counted. With `permissions`
    "ask" a request waits for `on_permission`, at most `park_seconds`, and is then denied. `meter` is that of the
    earlier session, for figures that go on: by default they begin at nothing.

    Raises:
        CannotResume: the agent cannot go on with that session; one without `resume` may do.
        AgentNotInstalled: its program is missing.
        AgentTimeout: no session within `start_timeout`.
        AgentError: it could not start a session; see `tapeout.agents.errors`.
    """
    environment = session_environment(spec, env)
    recorder = Recorder(on_update, transcript, terminal, meter or meter_for(spec))
    if spec.driver == "command":
        from tapeout.agents.command import command_session

        if resume is not None:
            raise CannotResume(f"{spec.name} remembers nothing between its turns", hint="open a new session")
        return command_session(spec, cwd=cwd, env=environment, recorder=recorder, confinement=confinement)
    if spec.driver != "acp":
        from tapeout.agents.headless import headless_session

        return headless_session(
            spec,
            cwd=cwd,
            env=environment,
            recorder=recorder,
            permissions=permissions,
            confinement=confinement,
            resume=resume,
        )
    from tapeout.agents.acp import acp_session  # imports for a second: only when needed, or by `preload`

    return acp_session(
        spec,
        cwd=cwd,
        env=environment,
        recorder=recorder,
        permissions=PermissionPolicy(permissions, on_permission, park_seconds),
        start_timeout=start_timeout,
        confinement=confinement,
        resume=resume,
    )


def meter_for(spec: AgentSpec) -> Meter:
    """The meter of a session with the agent."""
    own = spec.driver == "command"
    return Meter(
        expected_window(spec),
        fixed=spec.window is not None,
        hidden=0 if own else HIDDEN_TOKENS,  # a program of one's own need not be an agent with tools
        remembers=not own,
    )


def expected_window(spec: AgentSpec) -> int:
    """Tokens that the agent's context holds, so far as that is known before it says so itself."""
    return spec.window or window_of(configured_model(spec.command, spec.env) or spec.name)


def preload() -> None:
    """Import everything that a session needs: for a server that forks workers, so that each need not."""
    import tapeout.agents.acp
    import tapeout.agents.command
    import tapeout.agents.headless  # noqa: F401
