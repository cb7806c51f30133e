"""What the gate says about a change by itself, and who may allow it. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tapeout.gate.verdict import Finding

_LISTED = 20
_CHARACTERS = 300

CONTROL = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Alarm(NamedTuple):
    """One thing about a change that needs a person."""

    check: str
    """What looked at it: the name that its finding gets."""
    permission: str
    """What a person allows by `tapeout issue allow ID PERMISSION`."""
    path: str
    """Empty for what is not in one file."""
    line: int
    """From 1; 0 for the whole file."""
    reason: str
    """One line."""
    excerpt: str = ""

    @property
    def place(self) -> str:
        """`path:line: `, as tools write it; empty for what is not in one file."""
        if not self.path:
            return ""
        return f"{shown(self.path)}:{self.line}: " if self.line else f"{shown(self.path)}: "


WHAT_TO_DO = {
    "tests": "Put the tests back as they are on the target branch and mend the code instead.",
    "suppressions": "Mend what the tool reports instead of silencing it.",
    "gate": "Leave {file} as it is on the target branch.",
    "dependencies": "Take the dependency out again, or ask for it in a comment on the issue.",
    "tree": "Give the file a plain name of its own, inside the repository.",
    "text": "Write the text without these characters; in a string use an escape.",
    "commits": "Make the commits anew, on top of the target branch and under your own name.",
}
"""Permission to what an agent can do about it without anybody's help."""

_LEAVE = "Leave it as it is on the target branch."


def findings_of(alarms: Iterable[Alarm], allowed: Collection[str]) -> tuple[Finding, ...]:
    """The alarms that nobody has allowed, one finding for each check and permission.

    Args:
        allowed: permissions that a person or the configuration gave.
    """
    groups: dict[tuple[str, str], list[Alarm]] = {}
    for alarm in alarms:
        if alarm.permission not in allowed:
            groups.setdefault((alarm.check, alarm.permission), []).append(alarm)
    return tuple(_finding(check, permission, found) for (check, permission), found in groups.items())


def _finding(check: str, permission: str, alarms: list[Alarm]) -> Finding:
    first = alarms[0]
    reason = first.place + first.reason
    if len(alarms) > 1:
        reason += f" (and {len(alarms) - 1} more)"
    lines = [f"{alarm.place}{alarm.reason}" for alarm in alarms[:_LISTED]] if len(alarms) > 1 or first.path else []
    lines += [alarm.excerpt for alarm in alarms[:_LISTED] if alarm.excerpt]
    if len(alarms) > _LISTED:
        lines.append(f"… and {len(alarms) - _LISTED} more")
    what = WHAT_TO_DO.get(permission, _LEAVE).format(file="tapeout.toml")
    lines.append(f"{what} If it is needed, a person can allow it: tapeout issue allow ID {permission}")
    excerpt = "\n".join(shown(line) for text in lines for line in text.split("\n"))
    return Finding(check, shown(reason)[:_CHARACTERS], excerpt)


def shown(text: str) -> str:
    """A text of the change in which nothing is invisible: what cannot be printed is escaped."""
    return "".join(
        c if c.isprintable() else CONTROL.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")
        for c in text
    )


def permitted(rules: Mapping[str, object], granted: Iterable[str]) -> frozenset[str]:
    """The permissions of a change: what the configuration allows to all and a person to its issue."""
    return frozenset(name for name, rule in rules.items() if rule == "allow") | frozenset(granted)
