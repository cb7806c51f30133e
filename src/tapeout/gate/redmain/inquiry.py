"""Is main red by itself, and since which commit? Asked in a process of its own, like any gate run.

Main is judged by the checks that the change failed, with what earlier runs found out; only where that could be out of
date (before somebody is blamed, or when a second change fails alike) everything is run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pygit2

from tapeout.base.faults import point
from tapeout.base.git import first_parent, open_bare
from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.evidence import read_sealed
from tapeout.gate.evidence.record import recorded_command
from tapeout.gate.evidence.trust import Trust
from tapeout.gate.redmain.bisection import first_red
from tapeout.gate.redmain.signature import Facts, red_checks
from tapeout.gate.reports.show import one_line
from tapeout.gate.verdict import Verdict, facts

MOST_COMMITS = 1_024
"""So far back a culprit is sought: ten steps of the bisection."""

Cause = Literal["none", "more", "culprit", "everywhere", "flaky"]
"""Main is not red; the change fails in other ways, too; a commit made it red; it is red as far back as one can tell;
it is red at times."""


@dataclass(frozen=True)
class Question:
    """What is asked."""

    main: str
    branch: str
    config: Config
    failed: tuple[Facts, ...]
    """How the checks ended that refuse the change."""
    alone: bool
    """Whether these are all that there is against the change."""
    doubted: bool
    """Whether a pass of main that is known from before may be out of date."""


class Answer(NamedTuple):
    """What was found out."""

    cause: Cause
    red: tuple[str, ...] = ()
    """Names of the checks that main fails as the change does."""
    reason: str = ""
    """Why main fails, one line."""
    excerpt: str = ""
    culprit: str = ""
    """The commit that made it red; for `everywhere` the oldest that was looked at."""


def inquire(paths: StatePaths, question: Question) -> dict[str, Any]:
    """An `Answer` as JSON can say it.

    Raises:
        GateUnavailable: the checks cannot be run on this machine now.
    """
    point("redmain.asked")
    return _Inquiry(paths, question).answer()._asdict()


class _Inquiry:
    def __init__(self, paths: StatePaths, question: Question) -> None:
        self._paths = paths
        self._question = question
        self._hub = open_bare(paths.hub)
        self._judged_anew: dict[str, bool] = {}

    def answer(self) -> Answer:
        question = self._question
        names = [one["name"] for one in question.failed]
        verdict = self._judge(question.main, names, fresh=question.doubted)
        red = red_checks(question.failed, _facts_of(verdict))
        if not red:
            return Answer("none")
        found = [finding for finding in verdict.findings if finding.check in red]
        reason = "; ".join(f"{finding.check}: {finding.reason}" for finding in found)
        about = Answer("more", red, reason, "\n\n".join(one.excerpt for one in found if one.excerpt))
        if not question.alone or len(red) < len(names):
            return about
        self._red = red
        cause, culprit = self._cause()
        return about._replace(cause=cause, culprit=culprit)

    def _cause(self) -> tuple[Cause, str]:
        chain = self._chain()
        if self._is_red_anew(chain[0]):
            return "everywhere", chain[0]
        if len(chain) == 1:  # the same files, and now it passes
            return "flaky", chain[0]
        number = first_red(len(chain), lambda number: self._is_red(chain[number]))
        before, culprit = chain[number - 1], chain[number]
        # Nobody is blamed for what is known from before only, or was seen but once.
        if self._is_red_anew(before) or not self._is_red_anew(culprit):
            return "flaky", culprit
        return "culprit", culprit

    def _chain(self) -> list[str]:
        """Main by first parents down to the newest commit that passed these checks when it landed, or else to where the
        hub began; oldest first."""
        began = {one.commit for one in Trust.of(self._hub).adopted() or () if one.why == "start"}
        chain = [self._question.main]
        while len(chain) < MOST_COMMITS and chain[-1] not in began and not self._passed_on(chain[-1], self._red):
            below = first_parent(self._hub, chain[-1])
            if below is None or below not in self._hub:
                break
            chain.append(below)
        return chain[::-1]

    def _passed_on(self, commit: str, names: Sequence[str]) -> str | None:
        """The base on which a commit passed these checks when it landed; None if they are not known to have run."""
        record = read_sealed(self._hub, commit)
        if record is None or record["passed"] is not True or record["candidate"] != commit:
            return None
        known = {check["name"]: check for check in record["checks"]}
        passed = all(
            name in known
            and known[name]["passed"] is True
            and not known[name].get("skipped")
            and known[name].get("command") == recorded_command(self._checks[name])
            for name in names
        )
        return str(record["base"]) if passed else None

    @cached_property
    def _checks(self) -> dict[str, CheckConfig]:
        return {check.name: check for check in self._question.config.check}

    def _is_red(self, commit: str, *, fresh: bool = False) -> bool:
        try:
            verdict = self._judge(commit, self._red, fresh=fresh)
        except GateUnavailable:
            if fresh:
                raise
            return True  # it may lack what the check runs, and before it counts it is judged anew
        return any(not one.passed and not one.flaky for one in verdict.results if one.name in self._red)

    def _is_red_anew(self, commit: str) -> bool:
        if commit not in self._judged_anew:
            self._judged_anew[commit] = self._is_red(commit, fresh=True)
        return self._judged_anew[commit]

    def _judge(self, commit: str, names: Sequence[str], *, fresh: bool) -> Verdict:
        """By these checks and what they need, as main configures them.

        A commit that landed with them is judged as it was then, and need not run again what is known of it. Any other
        is its own base, so that they run whatever they are limited to.
        """
        config = self._question.config
        wanted = list(names)
        for name in wanted:
            wanted += [need for need in self._checks[name].needs if need not in wanted]
        checks = tuple(check for check in config.check if check.name in wanted)
        gate = config.gate.model_copy(update={"fail_fast": False})
        only = config.model_copy(update={"check": checks, "gate": gate if config.gate.fail_fast else config.gate})
        base = commit if fresh else self._passed_on(commit, wanted) or commit
        subject = Subject(self._paths.hub, commit, base, self._question.branch)
        return run_checks(self._paths, subject, only, fresh=fresh)


def _facts_of(verdict: Verdict) -> list[Facts]:
    """With all findings: of a main that fails in many ways none may be left out."""
    return [
        {**facts(result), "diagnostics": [one_line(one) for one in result.report.diagnostics]}
        for result in verdict.results
    ]


def landed_as(hub: pygit2.Repository, commit: str) -> tuple[str, str] | None:
    """The change and the issue as which a commit landed; None if people put it on their branch."""
    record = read_sealed(hub, commit)
    if record is None or record["passed"] is not True:
        return None
    return record["change"], record["issue"]
