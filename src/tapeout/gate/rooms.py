"""Where a run's commands run: clean checkouts of the candidate and of its base, made when they are first needed.

What may go wrong: a check moves the run's folder away (`Displaced`: whatever we did next would happen wherever the
check wants it to); its program is missing, or the disk is full (`GateUnavailable`).
"""

import os
from dataclasses import replace
from typing import Literal

import pygit2

from tapeout.base.processes import Captured
from tapeout.config import CheckConfig, Config
from tapeout.gate.checkout import Checkout
from tapeout.gate.environment import GateUnavailable, unavailable
from tapeout.gate.execute import execute
from tapeout.gate.judge import NOT_EXECUTABLE, NOT_FOUND, Outcome
from tapeout.gate.reports import Unreadable
from tapeout.gate.reports.read import read_report, report_stamp
from tapeout.gate.runs import identity
from tapeout.gate.subject import Subject

Side = Literal["candidate", "base"]


class Displaced(Exception):
    """A command replaced the folder in which the run's files are."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("moved the folder of its run away")
        self.outcome = outcome


class Rooms:
    """The checkouts of one run."""

    def __init__(self, run: str, folder: str, subject: Subject, config: Config) -> None:
        self._run = run
        self._folder = folder
        self._identity = identity(folder)
        self._subject = subject
        self._config = config
        self._made: dict[Side, Checkout] = {}

    def run(self, check: CheckConfig, side: Side = "candidate") -> Outcome:
        """Run a check's command on one side, and read what it reports.

        Raises:
            Displaced: see there.
            GateUnavailable: this machine cannot run it.
            pygit2.GitError: the candidate's files cannot be checked out.
        """
        checkout = self._clean(side)
        before, killed = report_stamp(check, checkout.folder), memory_kills()
        captured = execute(check, self._config, checkout.folder, run=self._run, folder=self._folder)
        outcome = Outcome(captured, out_of_memory=memory_kills() > killed)
        if identity(self._folder) != self._identity:
            raise Displaced(_named(outcome, checkout.folder))
        try:
            outcome = replace(outcome, report=read_report(check, captured, checkout.folder, before))
        except Unreadable as error:
            outcome = replace(outcome, problem=error.reason.replace(checkout.folder + "/", ""))
        return _named(outcome, checkout.folder)

    def misses_on_base(self, check: CheckConfig) -> bool:
        """Whether the check's command is missing on the target branch too, so that the change is not to blame."""
        return self._subject.base == self._subject.commit or missing(self.run(check, "base").captured)

    def _clean(self, side: Side) -> Checkout:
        if side in self._made:
            self._made[side].restore()
            return self._made[side]
        name, commit = ("code", self._subject.commit) if side == "candidate" else ("base", self._subject.base)
        try:
            self._made[side] = Checkout(
                self._subject.source,
                os.path.join(self._folder, name),
                commit,
                base=self._subject.base,
                branch=self._subject.branch,
            )
        except pygit2.GitError as error:
            problem = unavailable(f"check out the {side}", error)
            if problem is None and side == "base":
                problem = GateUnavailable(f"cannot check out the base: {error}")
            raise problem or error from error
        return self._made[side]


def missing(captured: Captured) -> bool:
    """Whether a command, or one that it called, was not there."""
    return captured.exit_code in {NOT_FOUND, NOT_EXECUTABLE}


def _named(outcome: Outcome, folder: str) -> Outcome:
    """Paths as the repository knows them: where this run was checked out is of no use to anybody."""
    output = outcome.captured.output.replace(folder + "/", "")
    return replace(outcome, captured=outcome.captured._replace(output=output))


def memory_kills() -> int:
    """How often the kernel has killed a process of this machine for memory; 0 where it does not say."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError, IndexError):
        return 0
