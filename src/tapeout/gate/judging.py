"""What a gate run does in its own process: judge one candidate and store the evidence."""

from dataclasses import dataclass
from typing import Any

from tapeout.base.faults import point
from tapeout.base.git import open_bare
from tapeout.base.paths import StatePaths
from tapeout.config import Config
from tapeout.gate.evidence import Origin, record_of, write_record
from tapeout.gate.integrity import Part, judge_change
from tapeout.gate.quarantine import seen_flaky
from tapeout.gate.stacking import Link
from tapeout.gate.subject import Piece, Subject
from tapeout.gate.target import config_digest
from tapeout.gate.verdict import summary


@dataclass(frozen=True)
class Assignment:
    """What is to be judged."""

    main: str
    branch: str
    config: Config
    """That of main: whatever is stacked on it is judged by what main says."""
    links: tuple[Link, ...]
    parts: tuple[Part, ...]
    """The same changes, as what each of them may do is looked at."""
    issue: str
    """Of the last change."""
    attempt: str
    scopes: tuple[tuple[str, ...], ...]
    """Globs of what the issue of each change declares; none if it declares nothing."""


def judge_candidate(paths: StatePaths, assignment: Assignment) -> dict[str, Any]:
    """Judge the last commit of a stack; returns the id of the run, whose record is on the disk, the summary, and
    flaky tests.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
    """
    hub = open_bare(paths.hub)
    tip = assignment.links[-1]
    pieces = tuple(
        Piece(part.base, part.commit, scope) for part, scope in zip(assignment.parts, assignment.scopes, strict=True)
    )
    issues = " ".join(part.issue for part in assignment.parts)
    subject = Subject(paths.hub, tip.commit, assignment.main, assignment.branch, issues, pieces)
    verdict = judge_change(paths, subject, assignment.config, assignment.parts)
    origin = Origin(tip.change, assignment.issue, assignment.attempt)
    record = record_of(verdict, assignment.config, config_digest(hub, assignment.main), origin)
    record["combination"] = [link.change for link in assignment.links]
    write_record(paths, record)
    point("run.judged")
    # Told and not filed here: a forked process must not open the tracker's database that its parent has open.
    return {"run": verdict.run, "summary": summary(verdict), "flaky": seen_flaky(verdict)}
