"""Findings as text, for people and agents. Pure."""

from collections.abc import Sequence

from tapeout.gate.reports.model import Diagnostic, text_of

MOST_SHOWN = 40
_LINE_CHARS = 300


def place(found: Diagnostic) -> str:
    """`path:line:column`, as far as it is known."""
    numbers = [str(number) for number in (found.line, found.column) if number]
    return ":".join([text_of(found.path), *numbers]) if found.path else ""


def one_line(found: Diagnostic) -> str:
    """`path:line:column: level: message [rule]`, the form that editors know."""
    head = place(found)
    rule = f" [{found.rule}]" if found.rule else ""
    line = f"{head}: {found.level}: {found.message}" if head else f"{found.level}: {found.message}"
    room = _LINE_CHARS - len(rule)
    return (line if len(line) <= room else line[: max(room - 1, 40)] + "…") + rule[:_LINE_CHARS]


def listing(found: Sequence[Diagnostic]) -> str:
    """One a line, errors first, and how many are left out."""
    order = {"error": 0, "warning": 1, "note": 2}
    chosen = sorted(found, key=lambda one: order[one.level])[:MOST_SHOWN]
    more = [f"… and {len(found) - len(chosen)} more"] if len(found) > len(chosen) else []
    return "\n".join([*map(one_line, chosen), *more])


def counted(found: Sequence[Diagnostic], adjective: str = "") -> str:
    """`3 findings, first a.py:1:2 F401: unused import`."""
    what = f"{adjective} finding".strip() + ("s" if len(found) != 1 else "")
    first = found[0]
    where = " ".join(filter(None, (place(first), first.rule)))
    said = f"{where}: {first.message}" if where else first.message
    return f"{len(found)} {what}{', first' if len(found) > 1 else ':'} {said}"[:250]
