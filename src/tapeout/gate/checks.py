"""Running the checks of the target branch on one exact commit.

What may go wrong: a check fails, hangs, is killed, tests nothing (the change's fault: a failed verdict); its program
is missing or the disk is full (the machine's fault: `GateUnavailable`, which blames nobody). Which of the two a
missing command is, the base tells: if the same check misses it there too, it is the machine.
"""

import os
import time
from dataclasses import dataclass, replace

import pygit2

from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.checkout import Checkout
from tapeout.gate.environment import GateUnavailable, disk_is_full, unavailable
from tapeout.gate.execute import execute
from tapeout.gate.judge import NOT_EXECUTABLE, NOT_FOUND, judge, missing_reason
from tapeout.gate.redness import note_red
from tapeout.gate.runs import identity, remove_tree, run_folder
from tapeout.gate.verdict import CheckResult, Finding, Verdict, findings_of


@dataclass(frozen=True)
class Subject:
    """What is judged, and by what."""

    source: str
    """Git directory that has the commits."""
    commit: str
    base: str
    """Commit of the target branch whose configuration this is."""
    branch: str


def run_checks(paths: StatePaths, subject: Subject, config: Config, findings: tuple[Finding, ...] = ()) -> Verdict:
    """Judge a commit: the findings that there are already, and every check in a clean checkout.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
    """
    begun = time.monotonic()
    try:
        with run_folder(paths) as (run, folder):
            return _Run(paths, run, folder, subject, config).judge(findings, begun)
    except OSError as error:
        raise unavailable("run the gate", error) or error from error


class _Displaced(Exception):
    """A check replaced the folder in which the run's files are."""

    def __init__(self, check: str, result: CheckResult) -> None:
        super().__init__(check)
        self.result = result


class _Run:
    """One run of the gate."""

    def __init__(self, paths: StatePaths, run: str, folder: str, subject: Subject, config: Config) -> None:
        self._paths = paths
        self._run = run
        self._folder = folder
        self._identity = identity(folder)
        self._subject = subject
        self._config = config
        self._logs = os.path.join(paths.evidence, run)

    def judge(self, findings: tuple[Finding, ...], begun: float) -> Verdict:
        os.makedirs(self._logs)
        results: tuple[CheckResult, ...] = ()
        if not (findings and self._config.gate.fail_fast):
            try:
                results = self._results(self._check_out("code", self._subject.commit))
            except pygit2.GitError as error:
                findings += (Finding("change", f"its files cannot be checked out: {error}"),)
        note_red(self._paths, self._config.check, results)
        found = findings + findings_of(results)
        return Verdict(
            run=self._run,
            candidate=self._subject.commit,
            base=self._subject.base,
            tree=_tree(self._subject),
            passed=not found and len(results) == len(self._config.check),
            results=results,
            findings=found,
            seconds=time.monotonic() - begun,
        )

    def _results(self, checkout: Checkout) -> tuple[CheckResult, ...]:
        results: list[CheckResult] = []
        for number, check in enumerate(self._config.check):
            if number:
                checkout.restore()
            try:
                results.append(self._result(check, checkout))
            except _Displaced as displaced:
                results.append(displaced.result)
                break
            if not results[-1].passed and self._config.gate.fail_fast:
                break
        return tuple(results)

    def _check_out(self, name: str, commit: str) -> Checkout:
        subject = self._subject
        try:
            return Checkout(
                subject.source,
                os.path.join(self._folder, name),
                commit,
                base=subject.base,
                branch=subject.branch,
            )
        except pygit2.GitError as error:
            raise unavailable("check out the candidate", error) or error from error

    def _result(self, check: CheckConfig, checkout: Checkout) -> CheckResult:
        captured = execute(check, self._config, checkout.folder, run=self._run, folder=self._folder)
        # Paths as the repository knows them: where this run was checked out is of no use to anybody.
        captured = captured._replace(output=captured.output.replace(checkout.folder + "/", ""))
        missing = captured.exit_code in {NOT_FOUND, NOT_EXECUTABLE}
        if missing and self._misses_on_base(check):
            reason = missing_reason(captured.exit_code or 0)
            last = captured.output.strip().splitlines()[-1:]
            raise GateUnavailable(
                f"check {check.name}: {reason}: {(last or check.argv)[0][:200]}",
                hint="install it, or put it on the PATH of the floor",
            )
        result = judge(check, captured)
        if identity(self._folder) != self._identity:
            # Whatever we did next would happen wherever the check wants it to.
            raise _Displaced(check.name, replace(result, passed=False, reason="moved the folder of its run away"))
        if not result.passed and disk_is_full(self._folder):
            raise GateUnavailable(f"check {check.name}: the disk is full", hint="free some space")
        with open(os.path.join(self._logs, f"{check.name}.log"), "w", encoding="utf-8", newline="") as file:
            file.write(captured.output)
        return result

    def _misses_on_base(self, check: CheckConfig) -> bool:
        """Whether the check's command is missing on the target branch too, so that the change is not to blame."""
        if self._subject.base == self._subject.commit:
            return True
        checkout = self._check_out("base", self._subject.base)
        try:
            return execute(check, self._config, checkout.folder, run=self._run, folder=self._folder).exit_code in {
                NOT_FOUND,
                NOT_EXECUTABLE,
            }
        finally:
            remove_tree(checkout.folder)


def _tree(subject: Subject) -> str:
    repository = pygit2.Repository(subject.source)
    return str(repository[subject.commit].peel(pygit2.Commit).tree_id)
