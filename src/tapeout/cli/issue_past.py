"""`tapeout issue history`, `blame` and `undo`: what happened, who did it, and taking it back."""

from __future__ import annotations

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.moments import clock
from tapeout.cli.commands import add_json, limit
from tapeout.cli.context import open_tracker
from tapeout.cli.issue_fields import FIELD_OF_OPTION
from tapeout.cli.output import Result
from tapeout.tracker.commands.past import UNDO_LISTED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker.history.entries import Blame, Entry, FieldChange, Setting
    from tapeout.tracker.history.undo import Act

DIFF_LINES = 40
"""Lines of a changed text that the page for people shows; JSON has both texts."""

DIFFED_LINES = 2_000
"""Longest text that is compared line by line: comparing takes the square of that."""


def add_history(parser: Describes) -> None:
    """Arguments of `issue history`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("--limit", type=limit, default=0, help="only the newest so many; default 0, which is all")
    add_json(parser)
    parser.set_defaults(run=_history)


def _history(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        entries = tracker.history(arguments.issue)[-arguments.limit :]
    return Result(
        [_entry_data(entry) for entry in entries], lambda: "\n".join(line for e in entries for line in _entry(e))
    )


def _entry_data(entry: Entry) -> dict[str, Any]:
    return {
        **entry._asdict(),
        "changes": [change._asdict() for change in entry.changes],
        "overwritten": [one._asdict() for one in entry.overwritten],
    }


def _entry(entry: Entry) -> Iterator[str]:
    yield f"{clock(entry.at)}  {_one_line(entry.actor)}  {entry.kind}  ({entry.id})"
    for change in entry.changes:
        yield from (f"    {line}" for line in _change(change))
    if entry.lost_to is not None:
        yield f"    lost: {_one_line(entry.lost_to)} held the lease"
    for lost in entry.overwritten:
        yield f"    overwritten: {_one_line(lost.field)}, by {_one_line(lost.actor)} who did not know of it ({lost.by})"
    if entry.undone_by is not None:
        yield f"    undone ({entry.undone_by})"
    if entry.undoes is not None:
        yield f"    undoes {_one_line(entry.undoes)}"


def _change(change: FieldChange) -> list[str]:
    old, new = change.old, change.new
    if isinstance(new, list | tuple):
        before = old or []
        signs = [f"-{one}" for one in before if one not in new] + [f"+{one}" for one in new if one not in before]
        return [f"{change.field}: {' '.join(_one_line(sign) for sign in signs)}"]
    if _is_long(old) or _is_long(new):
        return [f"{change.field}:", *(f"    {line}" for line in _difference(old or "", new or ""))]
    return [f"{change.field}: {_value(change.field, old)} -> {_value(change.field, new)}"]


def _is_long(value: object) -> bool:
    return isinstance(value, str) and ("\n" in value or len(value) > 200)


def _difference(old: str, new: str) -> list[str]:
    before, after = old.split("\n"), new.split("\n")
    if not old:
        lines = [f"+{line}" for line in after]
    elif max(len(before), len(after)) > DIFFED_LINES:
        return [f"{len(before):,} lines -> {len(after):,} lines"]
    else:
        import difflib

        lines = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        lines = [line[0] + line[2:] for line in lines]
    if len(lines) > DIFF_LINES:
        return [*lines[:DIFF_LINES], f"... and {len(lines) - DIFF_LINES:,} more lines: --json has all"]
    return lines


_MOMENTS = ("deferred_until", "due_at")


def _value(field: str, value: Any) -> str:
    if value in (None, ""):
        return "nothing"
    if field in _MOMENTS and isinstance(value, int | float):
        return clock(value)
    return _one_line(str(value))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def add_blame(parser: Describes) -> None:
    """Arguments of `issue blame`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("field", metavar="FIELD", help="such as title, priority, labels, status, body")
    add_json(parser)
    parser.set_defaults(run=_blame)


def _blame(arguments: argparse.Namespace) -> Result:
    field = FIELD_OF_OPTION.get(arguments.field, arguments.field).replace("-", "_")
    with open_tracker() as tracker:
        blame = tracker.blame(arguments.issue, field)
    data = {
        **blame._asdict(),
        "settings": [setting._asdict() for setting in blame.settings],
        "lines": [{"line": one.line, **_who(one.setting)} for one in blame.lines],
    }
    return Result(data, lambda: "\n".join(_blame_page(blame)))


def _who(setting: Setting) -> dict[str, Any]:
    return {"at": setting.at, "actor": setting.actor, "replica": setting.replica, "operation": setting.operation}


def _blame_page(blame: Blame) -> Iterator[str]:
    if not blame.settings:
        yield f"nobody has set {blame.field}"
        return
    if blame.lines:
        width = max(len(_one_line(one.setting.actor)) for one in blame.lines)
        for one in blame.lines:
            yield f"{clock(one.setting.at)}  {_one_line(one.setting.actor):{width}}  {_one_line_kept(one.line)}"
        yield ""
        yield "Set:"
    for number, setting in enumerate(reversed(blame.settings)):
        notes = [
            *(["current"] if number == 0 else []),
            *(["overwritten by somebody who did not know of it"] if setting.overwritten else []),
            *(["undone"] if setting.undone else []),
        ]
        note = f"  [{', '.join(notes)}]" if notes else ""
        yield f"{clock(setting.at)}  {_one_line(setting.actor)}  {_shown(blame.field, setting.value)}{note}"


def _one_line_kept(line: str) -> str:
    """A line with its spaces, but nothing that would begin another one."""
    return line.replace("\r", "")


def _shown(field: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_one_line, value)) or "nothing"
    if _is_long(value):
        return f"{len(value.split(chr(10))):,} lines, {len(value):,} characters"
    return _value(field, value)


def add_undo(parser: Describes) -> None:
    """Arguments of `issue undo`."""
    parser.add_argument("act", metavar="ACT", nargs="?", help="one that --list shows; default: the newest")
    parser.add_argument("--list", action="store_true", help="what you could undo, newest first")
    parser.add_argument("--limit", type=limit, default=UNDO_LISTED, help=f"of --list; default {UNDO_LISTED}, 0 is all")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add_json(parser)
    parser.set_defaults(run=_undo, for_people=True)


def _undo(arguments: argparse.Namespace) -> Result:
    if arguments.list and (arguments.act or arguments.dry_run):
        raise UsageError("--list takes neither an act nor --dry-run")
    with open_tracker() as tracker:
        if arguments.list:
            return _list(tracker.acts(arguments.limit or -1))
        if arguments.dry_run:
            with tracker.rehearsing():
                act = tracker.undo(arguments.act)
        else:
            act = tracker.undo(arguments.act)
    head = f"{'would undo' if arguments.dry_run else 'undone'}: {_act(act)}"
    return Result(_act_data(act), "\n".join([head, *(f"    {one}" for one in act.undo)]))


def _list(acts: Sequence[Act]) -> Result:
    lines = []
    for act in acts:
        lines.append(_act(act))
        lines += [f"    {one}" for one in act.undo]
        lines += [f"    cannot be undone: {act.obstacle}"] if act.obstacle else []
    return Result([_act_data(act) for act in acts], "\n".join(lines) or "there is nothing that you could undo")


def _act(act: Act) -> str:
    issues = ", ".join(act.issues[:3]) + (f" and {len(act.issues) - 3} more" if len(act.issues) > 3 else "")
    return f"{act.id}  {clock(act.at)}  {', '.join(act.kinds)}  {issues}"


def _act_data(act: Act) -> dict[str, Any]:
    return {**act._asdict(), "undo": [one._asdict() for one in act.undo]}
