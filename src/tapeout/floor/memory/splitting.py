"""How an issue that agents gave up on could be split: drafts that a person can file, from how it failed. Pure.

Nobody files them but a person: what failed together may well be one thing.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from tapeout.floor.memory.model import Round, Signature
from tapeout.tracker.model import Issue

MOST_PARTS = 5

TITLE_CHARS = 100
FAILURES_SHOWN = 3
FILES_SHOWN = 10


class Proposal(NamedTuple):
    """A sub-issue that could be filed."""

    title: str
    acceptance: tuple[str, ...]
    body: str
    waits_for: int | None = None
    """Place of another part that has to be done first."""


def split(issue: Issue, rounds: Sequence[Round]) -> list[Proposal]:
    """Sub-issues: one for each group of failures that was left; if all failed in one way, finding its cause comes first
    and the rest of the issue waits for it. None if nothing is known about the failures."""
    refused = [one for one in rounds if not one.passed and one.signatures]
    if not refused:
        return []
    best = min(reversed(refused), key=lambda one: one.failing if one.failing is not None else len(one.signatures))
    groups = _groups(best.signatures)
    if len(groups) < 2:
        return _cause_first(issue, best, refused)
    return [
        Proposal(_clip(f"{issue.title}: {where}"), (f"{where}: no failure is left",), _body(issue, failures, refused))
        for where, failures in list(groups.items())[:MOST_PARTS]
    ]


def issue_file(issue: Issue, parts: Sequence[Proposal], scope: Sequence[str] = ()) -> str:
    """The parts as a file for `tapeout issue new --file`."""
    lines: list[str] = []
    for number, part in enumerate(parts):
        lines += ["---", f"id: part-{number + 1}", f"title: {_text(part.title)}", f"parent: {issue.id}"]
        if issue.labels:
            lines.append(f"labels: {_list(issue.labels)}")
        if files := (issue.scope or scope):
            lines.append(f"scope: {_list(files[:FILES_SHOWN])}")
        if part.waits_for is not None:
            lines.append(f"depends-on: [part-{part.waits_for + 1}]")
        lines += ["acceptance:", *(f"  - {_text(one)}" for one in part.acceptance), "---", part.body, ""]
    return "\n".join(lines)


def _groups(signatures: Sequence[Signature]) -> dict[str, list[Signature]]:
    """By check, and within one check by the file or suite of what failed, if it has several."""
    groups: dict[str, list[Signature]] = {}
    for one in signatures:
        groups.setdefault(one.check, []).append(one)
    if len(groups) > 1:
        return groups
    finer: dict[str, list[Signature]] = {}
    for one in signatures:
        suite = one.test.split("::")[0].strip()
        finer.setdefault(f"{one.check}, {suite}" if suite else one.check, []).append(one)
    return finer


def _cause_first(issue: Issue, best: Round, refused: Sequence[Round]) -> list[Proposal]:
    failure = best.signatures[0]
    what = ": ".join(part for part in (failure.check, failure.test) if part)
    cause = Proposal(
        _clip(f"Find out why {what} fails"),
        ("a comment on the parent issue names the cause and how it was found", "no existing test is changed"),
        _body(issue, best.signatures, refused),
    )
    rest = Proposal(
        _clip(issue.title), ("as in the parent issue",), "The parent issue, with the cause known.", waits_for=0
    )
    return [cause, rest]


def _body(issue: Issue, failures: Sequence[Signature], refused: Sequence[Round]) -> str:
    wanted = {one.id for one in failures}
    tries = [one for one in refused if one.failures & wanted]
    files = dict.fromkeys(path for one in tries if one.patch is not None for path in one.patch.files)
    lines = [f"Split from {issue.id}. What fails:", "", *(f"- {one.line}" for one in failures[:FAILURES_SHOWN])]
    if len(failures) > FAILURES_SHOWN:
        lines.append(f"- and {len(failures) - FAILURES_SHOWN} more")
    if files:
        lines += ["", f"Changes of these files did not mend it: {', '.join(list(files)[:FILES_SHOWN])}."]
    return "\n".join(lines).replace("---", "- -")


def _clip(title: str) -> str:
    line = " ".join(title.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "\u2026"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
