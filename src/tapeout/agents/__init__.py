"""Agents: one interface over every program that drives a model.

A session is opened in a folder, prompted one turn at a time, and tells what happens: text, tool calls, plans,
permissions, how full its context window is and what was spent (`meter.py`: an estimate, labelled, where an agent does
not report it). Drivers: `acp` for programs that speak the Agent Client Protocol (`acp.py`, with `wire.py` and
`process.py` below it); `claude-headless` and `codex-headless` for programs that print JSON lines, a process for each
prompt (`headless.py`); `command` for any program that takes a prompt and works in the current folder (`command.py`).
`catalog.py` knows the agents people use; `scripted/` is one that plays a script.
Everything said is kept in a transcript and shown in the attempt's terminal recording.

An agent is an untrusted program. What it *says* is never evidence: a turn is judged by the git result.

What may go wrong: the program is missing, dies, hangs, floods, prints something else, or answers with an error. Each
is an `AgentError` with a one-line message; see `errors.py`. `problems.py` tells when the model's provider is to blame,
not the agent or its work. A turn has no time limit here: the caller cancels it.
Processes that an agent detached outlive its session: the caller reaps its descendants after `close`.
"""

from tapeout.agents.catalog import CatalogEntry, catalog, installed, resolve, version
from tapeout.agents.choices import Decision, OnPermission, Question
from tapeout.agents.errors import (
    AgentDied,
    AgentError,
    AgentNotInstalled,
    AgentProtocolError,
    AgentTimeout,
    CannotResume,
)
from tapeout.agents.lasting import lasting_session
from tapeout.agents.meter import Meter
from tapeout.agents.problems import ProviderProblem, problem_of_error, problem_of_text, problem_of_turn
from tapeout.agents.recorder import Terminal
from tapeout.agents.render import render
from tapeout.agents.session import (
    AgentSpec,
    Session,
    TurnResult,
    expected_window,
    meter_for,
    open_session,
    preload,
    session_environment,
)
from tapeout.agents.transcript import Transcript, read_transcript
from tapeout.agents.updates import (
    Compacted,
    Entry,
    Failure,
    Notice,
    Permission,
    Plan,
    Prompt,
    Spent,
    Text,
    Thought,
    ToolCall,
    TurnEnded,
    Update,
    Usage,
)

__all__ = [
    "AgentDied",
    "AgentError",
    "AgentNotInstalled",
    "AgentProtocolError",
    "AgentSpec",
    "AgentTimeout",
    "CannotResume",
    "CatalogEntry",
    "Compacted",
    "Decision",
    "Entry",
    "Failure",
    "Meter",
    "Notice",
    "OnPermission",
    "Permission",
    "Plan",
    "Prompt",
    "ProviderProblem",
    "Question",
    "Session",
    "Spent",
    "Terminal",
    "Text",
    "Thought",
    "ToolCall",
    "Transcript",
    "TurnEnded",
    "TurnResult",
    "Update",
    "Usage",
    "catalog",
    "expected_window",
    "installed",
    "lasting_session",
    "meter_for",
    "open_session",
    "preload",
    "problem_of_error",
    "problem_of_text",
    "problem_of_turn",
    "read_transcript",
    "render",
    "resolve",
    "session_environment",
    "version",
]
