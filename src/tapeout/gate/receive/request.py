"""What a push asks for. Pure; everything here comes from whoever pushes."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tapeout.base.errors import NotAllowed, UsageError
from tapeout.tracker.fields import MAX_TITLE

FOR = "refs/for/"
"""What pushes go to; the target branch follows."""

TRAILER = "Tapeout-Issue"
"""Line at the end of a commit message that names the issue."""

_OBJECT_ID = r"(?:[0-9a-f]{40}|[0-9a-f]{64})"
_COMMAND = re.compile(rf"({_OBJECT_ID}) ({_OBJECT_ID}) (\S+)")
_OPTIONS = ("issue", "title")
_SHOWN = 100


class Command(NamedTuple):
    """One ref that a push wants to move."""

    old: str
    new: str
    ref: str

    @property
    def deletes(self) -> bool:
        """Whether the ref shall be deleted."""
        return not self.new.strip("0")


class Options(NamedTuple):
    """What `git push -o` said."""

    issue: str | None = None
    title: str | None = None


def parse_command(line: bytes) -> Command:
    """A line `OLD NEW REF`, as git gives it to its hooks.

    Raises:
        UsageError: it is none.
    """
    match = _COMMAND.fullmatch(line.decode(errors="replace"))
    if match is None:
        raise UsageError(f"{_shown(line.decode(errors='replace'))} is not what git tells a hook")
    return Command(*match.groups())


def parse_options(options: Iterable[str]) -> Options:
    """The options of a push.

    Raises:
        UsageError: one is not known, has no value, or is given twice.
    """
    given: dict[str, str] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in _OPTIONS:
            known = " and ".join(f"`-o {name}=...`" for name in _OPTIONS)
            raise UsageError(f"unknown push option {_shown(option)}", hint=f"there are {known}")
        if not value.strip():
            raise UsageError(f"the push option {name} has no value", hint=f"write `-o {name}=...`")
        if name in given:
            raise UsageError(f"the push option {name} is given twice")
        given[name] = value.strip()
    if len(given) == len(_OPTIONS):
        raise UsageError("an issue that exists has a title", hint="give either `-o issue=ID` or `-o title=...`")
    return Options(**given)


def wanted(commands: Sequence[Command], branch: str) -> Command:
    """The one command of a push that the hub takes.

    Args:
        branch: the hub's target branch.

    Raises:
        NotAllowed: it asks for something else too; says what to do instead.
    """
    for command in commands:
        if problem := refusal(command, branch):
            raise NotAllowed(problem, hint=f"to submit a change: git push HUB HEAD:{FOR}{branch}")
    if len(commands) != 1:
        raise NotAllowed("one push submits one change")
    return commands[0]


def refusal(command: Command, branch: str) -> str:
    """Why the hub does not do this; empty if it does."""
    ref = command.ref
    if command.deletes:
        return f"nothing is deleted in the hub: {_shown(ref)}"
    if ref == FOR + branch:
        return ""
    if ref.startswith(FOR):
        return f"the hub lands on {branch}, not on {_shown(ref.removeprefix(FOR))}"
    if ref == f"refs/heads/{branch}":
        return f"{branch} moves only to what has passed the gate"
    if ref.startswith(("refs/tapeout/", "refs/notes/")):
        return f"{_shown(ref)} is the hub's own: only the hub writes it"
    if ref.startswith("refs/tags/"):
        return f"tags come from your own repository: {_shown(ref)}"
    return f"the hub keeps no branch but {branch}: {_shown(ref)}"


def trailer_issue(message: str) -> str | None:
    """The issue that the last paragraph of a commit message names; None if it names none.

    Raises:
        UsageError: it names several.
    """
    paragraphs = re.split(r"\n[ \t]*\n", message.replace("\r\n", "\n").strip())
    lines = paragraphs[-1].split("\n") if len(paragraphs) > 1 else []
    named = {value.strip() for key, colon, value in (line.partition(":") for line in lines) if _names(key, colon)}
    named.discard("")
    if len(named) > 1:
        raise UsageError(f"the commit message names several issues: {_shown(', '.join(sorted(named)))}")
    return next(iter(named), None)


def _names(key: str, colon: str) -> bool:
    return bool(colon) and key.strip().lower() == TRAILER.lower()


def draft_text(message: str, commit: str, title: str | None) -> tuple[str, str]:
    """Title and body of the issue that is filed for a commit without one."""
    subject, _, rest = message.strip().partition("\n")
    if title is None:
        title = " ".join(subject.split()) or f"Pushed change {commit[:12]}"
    title = "".join(c if c.isprintable() else "\ufffd" for c in title)
    if len(title) > MAX_TITLE:
        title = title[: MAX_TITLE - 1].rstrip() + "…"
    body = rest.strip()[:_BODY_CHARS].replace("\0", "\ufffd")
    return title, body.encode(errors="replace").decode()


_BODY_CHARS = 20_000


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
