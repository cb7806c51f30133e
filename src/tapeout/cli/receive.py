"""What the hub's git hooks run: git asks before it takes a push (pre-receive), and gives us a push to `refs/for/BRANCH`
instead of moving a ref (proc-receive). What is printed on standard error reaches the pusher as `remote:` lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from tapeout.base.caller import actor, is_agent_at_work
from tapeout.base.errors import NotAllowed, TapeoutError, UsageError
from tapeout.base.faults import point
from tapeout.base.git import open_bare
from tapeout.base.paths import StatePaths
from tapeout.cli.output import one_line, readable_error
from tapeout.gate.hub import hub_branch
from tapeout.gate.receive import Queued, enqueue, examine
from tapeout.gate.receive.pktline import BadPacketError, read_section, section
from tapeout.gate.receive.request import Command, Options, parse_command, parse_options, wanted
from tapeout.tracker import Tracker

MAX_COMMANDS_BYTES = 1_000_000
"""Most that git may tell a hook of: nobody pushes so many refs at once."""


def main(hook: str) -> int:
    """Run a hook in the hub, which is the current folder."""
    hooks: dict[str, Callable[[str], None]] = {"pre-receive": _pre_receive, "proc-receive": _proc_receive}
    try:
        hooks[hook](os.path.realpath(os.environ.get("GIT_DIR", ".")))
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        _say_error(readable_error(error))
        return 1
    return 0


def _pre_receive(folder: str) -> None:
    if is_agent_at_work():
        raise NotAllowed("agents at work do not push", hint="commit: your work is taken over when your turn ends")
    text = sys.stdin.buffer.read(MAX_COMMANDS_BYTES + 1)
    if len(text) > MAX_COMMANDS_BYTES:
        raise UsageError("too many refs in one push")
    hub = open_bare(folder)
    quarantine = os.environ.get("GIT_QUARANTINE_PATH")
    if quarantine:
        hub.odb.add_disk_alternate(quarantine)
    branch = hub_branch(hub)
    command = wanted([parse_command(line) for line in text.split(b"\n") if line], branch)
    options = parse_options(_given_options())
    with Tracker.open(_paths(folder), actor()) as tracker:
        examine(hub, tracker, branch, command.new, options, actor())
    point("push.checked")


def _given_options() -> list[str]:
    count = os.environ.get("GIT_PUSH_OPTION_COUNT", "0")
    total = int(count) if count.isascii() and count.isdecimal() else 0
    return [os.environ.get(f"GIT_PUSH_OPTION_{number}", "") for number in range(min(total, 100))]


def _proc_receive(folder: str) -> None:
    """Speak with git as `git help hooks` has it."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    try:
        takes_options = _offers_options((read_section(stdin) or [b""])[0])
        stdout.write(section([b"version=1\0push-options" if takes_options else b"version=1\0"]))
        stdout.flush()
        commands = [parse_command(line) for line in read_section(stdin)]
        options = [option.decode(errors="replace") for option in read_section(stdin)] if takes_options else []
    except BadPacketError as error:
        raise UsageError(f"git said what this hook does not understand: {error}") from error
    answers = [_answer(folder, command, options) for command in commands]
    stdout.write(section(answers))
    stdout.flush()


def _offers_options(greeting: bytes) -> bool:
    """Whether git tells the options of a push.

    Raises:
        BadPacketError: it speaks another version.
    """
    version, _, offered = greeting.partition(b"\0")
    if version != b"version=1":
        raise BadPacketError(f"its version is {version[:20]!r}")
    return b"push-options" in offered.split()


def _answer(folder: str, command: Command, options: Sequence[str]) -> bytes:
    ref = command.ref.encode(errors="surrogateescape")
    try:
        _queue(folder, command, parse_options(options))
    except Exception as error:  # noqa: BLE001 - git must get an answer for each ref
        readable = readable_error(error)
        _say_error(readable)
        return b"ng %b %b" % (ref, one_line(readable.message).encode(errors="replace")[:500])
    return b"ok " + ref


def _queue(folder: str, command: Command, options: Options) -> None:
    hub, paths = open_bare(folder), _paths(folder)
    branch = hub_branch(hub)
    wanted([command], branch)
    with Tracker.open(paths, actor()) as tracker:
        queued = enqueue(hub, tracker, branch, command.new, options, actor())
        title = tracker.issue(queued.change.issue).title
        stopped = tracker.queue_stopped()
    for line in _told(queued, title, stopped, runs=_floor_runs(paths)):
        _say(line)


def _told(queued: Queued, title: str, stopped: str | None, *, runs: bool) -> list[str]:
    """What the pusher reads."""
    change, issue = queued.change.id, queued.change.issue
    filed = [f"filed issue {issue}: {title}"] if queued.filed and not queued.again else []
    how = "is queued already as" if queued.again else "queued as"
    if stopped:
        next_step = f"the queue is stopped: {stopped}"
    elif runs:
        next_step = "the floor's gate takes it in its turn"
    else:
        next_step = "no floor runs: it is gated at the next `tapeout up`"
    see = f"see it with `tapeout queue` or `tapeout issue show {issue}`"
    return [*filed, f"{how} change {change} for issue {issue}", next_step, see]


def _floor_runs(paths: StatePaths) -> bool:
    from tapeout.floor.lock import current_floor

    return current_floor(paths) is not None


def _paths(folder: str) -> StatePaths:
    """The state directory that the hub lies in."""
    return StatePaths(os.path.dirname(folder))


def _say(text: str) -> None:
    sys.stderr.write(f"tapeout: {one_line(text)}\n")


def _say_error(error: TapeoutError) -> None:
    _say(f"{error.message} ({error.hint})" if error.hint else error.message)
