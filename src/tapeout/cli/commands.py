"""Which commands there are, and what their modules need to describe their arguments.

A command's module has `add_arguments(parser)`. What it tells is read by two: `quick`, which knows enough for a command
line that is right, and `parser`, which is `argparse` and does everything else.
"""

from __future__ import annotations

import sys

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Describes(Protocol):
        """What the description of a command's arguments is told to, in the words of `argparse`."""

        prog: str

        gathers_positionals: bool
        """Let options stand between positional arguments, of which there may be many."""

        def add_argument(self, *names: str, **settings: Any) -> Any:
            """A positional argument or an option."""

        def add_query(self, name: str, help: str) -> None:  # noqa: A002 - as argparse calls it
            """A positional argument of any number of words, of which some may begin with `-`."""

        def set_defaults(self, **values: Any) -> None:
            """Further attributes of the result, above all `run`, the function to call."""

        @property
        def add_subparsers(self) -> Callable[..., Any]:
            """The commands of a group."""


class Command(NamedTuple):
    """A command or group of commands, and the module of `tapeout.cli` that adds its arguments."""

    name: str
    module: str
    help: str


COMMANDS = (
    Command("demo", "demo", "see it work: 8 workers, a sample project, no key and no model needed"),
    Command("init", "init", "make a repository ready: finds its checks and writes tapeout.toml"),
    Command("up", "up", "run the floor: workers on all ready issues, landing what passes the gate"),
    Command("queue", "queue", "the order of the merge queue, what is gated, and why something waits"),
    Command("status", "status", "what runs, waits and needs a person"),
    Command("stop", "stop", "stop the floor; work in progress is saved"),
    Command("logs", "logs", "what happened, to one issue or attempt or all"),
    Command("workers", "workers", "each worker: its state, what it waits for, context, time"),
    Command("attach", "terminals", "watch a worker's terminal live"),
    Command("nudge", "orders", "say something to a worker's agent"),
    Command("pause", "orders", "stop a worker where it is, or the whole floor"),
    Command("resume", "orders", "let a paused worker, or the whole floor, go on"),
    Command("kill", "orders", "end a worker now; its work is saved"),
    Command("handoff", "orders", "let a fresh session take over from a worker"),
    Command("questions", "questions", "what agents ask people"),
    Command("answer", "questions", "answer a question of an agent"),
    Command("replay", "terminals", "replay a worker's terminal recording"),
    Command("failures", "failures", "how attempts failed, how often, and what landed after the same failure"),
    Command("issue", "issue", "new, list, show, edit, close, comment, dep, history, undo, attach and more"),
    Command("search", "search", "find issues by words, best first"),
    Command("ready", "ready", "issues that could be started now"),
    Command("blocked", "blocked", "what waits for what, down to the cause"),
    Command("graph", "graph", "dependencies and children as a tree, or as Mermaid"),
    Command("stale", "stale", "open issues that nothing has happened to for long"),
    Command("stats", "stats", "how many issues of which sort, how old, how fast"),
    Command(
        "context",
        "utilisation",
        "how often changes pass the gate, by how full the agent's context was",
    ),
    Command("prime", "prime", "the plan for a fresh session: goal, work in progress, failures, rules; within a budget"),
    Command("digest", "digest", "what whoever steers needs to know of everything, in at most 2,000 tokens"),
    Command("plan", "plan", "let an agent propose issues for a goal, and file them when you say so"),
    Command("prompt", "prompt", "exactly what the next worker on an issue will be told"),
    Command("mcp", "mcp", "serve the tracker to an MCP client on standard input and output"),
    Command("claim", "claims", "take an issue for yourself"),
    Command("renew", "claims", "hold a claimed issue for longer"),
    Command("release", "claims", "give a claimed issue back"),
    Command("sync", "sync", "exchange issues with other clones through a git remote or a file"),
    Command("agents", "agents", "which agents are known, and which are installed here"),
    Command("gate", "gate", "run the checks on a commit; show and verify the evidence of landed ones"),
    Command("hub", "hub", "where the floor's repository is, and how to push a change to it"),
    Command("publish", "publish", "bring landed commits from the hub to your branch"),
    Command("import", "transfer", "bring in issues from a file: Beads, GitHub, or an export"),
    Command("export", "transfer", "write issues to a file: everything, or as Beads or GitHub read it"),
    Command("snapshot", "transfer", "write issues as Markdown pages into a folder"),
    Command("doctor", "doctor", "check the state directory; rebuild the index from git"),
    Command(
        "gc",
        "gc",
        "pack the state directory's repositories and tidy the index; drops nothing but logs past gate.keep_logs",
    ),
    Command("completion", "completion", "print a completion script for your shell"),
)


def describe(command: Command, parser: Describes) -> None:
    """Let the command's module describe its arguments to `parser`."""
    __import__(f"tapeout.cli.{command.module}", fromlist=["add_arguments"]).add_arguments(parser)


def add_json(parser: Describes) -> None:
    """Give a command the option that all commands have."""
    parser.add_argument("--json", action="store_true", help="print one JSON envelope, errors included")


def add_jsonl(parser: Describes) -> None:
    """Give a command that lists something the options `--json` and `--jsonl`."""
    add_json(parser)
    parser.add_argument("--jsonl", action="store_true", help="print an envelope, then one JSON object a line")


def limit(text: str) -> int:
    """An argument that says how many to show; 0 means all."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number of 0 (all) or more")
    return int(text)


def read_text(value: str) -> str:
    """An argument that is text, or `-` for standard input, or `@FILE` for a file's content.

    Raises:
        UsageError: the file or standard input cannot be read, or is no UTF-8.
    """
    if value != "-" and not value.startswith("@"):
        return value
    path = value if value == "-" else value[1:]
    hint = None if value == "-" else "@ names a file; text that begins with @ can be given on standard input with -"
    try:
        return read_bytes(path, hint=hint).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source(path)} is not valid UTF-8") from error


def read_bytes(path: str, most: int = -1, *, hint: str | None = None) -> bytes:
    """What is in the file that an argument names; `-` is standard input.

    Args:
        most: bytes after which an endless file is read no further; negative means all.
        hint: what to do if it cannot be read.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        if path == "-":
            return sys.stdin.buffer.read(most) if sys.stdin is not None else b""
        from tapeout.cli.named_files import open_named

        with open_named(path) as file:
            return file.read(most)
    except OSError as error:
        raise UsageError(f"cannot read {source(path)}: {error.strerror}", hint=hint) from error


def source(path: str) -> str:
    """What a file of the command line is called in a message."""
    return "standard input" if path == "-" else path
