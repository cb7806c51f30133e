"""Running the checks of the target branch on one exact commit.

What may go wrong: a check fails, hangs, is killed, tests nothing (the change's fault: a failed verdict); its program
is missing or the disk is full (the machine's fault: `GateUnavailable`, which blames nobody). Which of the two a
missing command is, the base tells: if the same check misses it there too, it is the machine.
"""

import os
import time

import pygit2

from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.builtin import look
from tapeout.gate.cache import IN_MEMORY, Cache
from tapeout.gate.confine import sandbox_note
from tapeout.gate.environment import unavailable
from tapeout.gate.examine import Displaced, Examination, examine
from tapeout.gate.globs import matches
from tapeout.gate.judge import judge
from tapeout.gate.order import run_order
from tapeout.gate.redness import note_red
from tapeout.gate.reportfile import save_reports
from tapeout.gate.rooms import Rooms
from tapeout.gate.runs import run_folder
from tapeout.gate.subject import Subject, Trees
from tapeout.gate.verdict import CheckResult, Finding, Verdict, findings_of

__all__ = ["Subject", "run_checks"]


def run_checks(
    paths: StatePaths, subject: Subject, config: Config, findings: tuple[Finding, ...] = (), *, fresh: bool = False
) -> Verdict:
    """Judge a commit: the findings that there are already, and every check in a clean checkout.

    Args:
        paths: where evidence and what earlier runs found out are kept.
        subject: what is judged.
        config: the checks.
        findings: what is known to be wrong already.
        fresh: run everything: nothing that earlier runs found out counts, and later ones learn nothing.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
    """
    begun = time.monotonic()
    cache = Cache(IN_MEMORY if fresh else paths.gate_cache)
    try:
        with run_folder(paths) as (run, folder):
            logs = os.path.join(paths.evidence, run)
            os.makedirs(logs)
            rooms = Rooms(run, folder, subject, config)
            shared = Examination(run, folder, logs, subject, config, rooms, Trees(subject), cache)
            verdict = _judge(shared, findings, begun)
            note_red(paths, config.check, verdict.results)
            return verdict
    except OSError as error:
        raise unavailable("run the gate", error) or error from error
    finally:
        cache.close()


def _judge(shared: Examination, findings: tuple[Finding, ...], begun: float) -> Verdict:
    results: tuple[CheckResult, ...] = ()
    if not (findings and shared.config.gate.fail_fast):
        try:
            results = _results(shared)
        except pygit2.GitError as error:
            findings += (Finding("change", f"its files cannot be checked out: {error}"),)
    found = findings + findings_of(results)
    verdict = Verdict(
        run=shared.run,
        candidate=shared.subject.commit,
        base=shared.subject.base,
        tree=shared.trees.tree,
        passed=not found and len(results) == len(shared.config.check),
        results=results,
        findings=found,
        seconds=time.monotonic() - begun,
        sandbox=sandbox_note(shared.config),
    )
    save_reports(shared.logs, verdict)
    return verdict


def _results(shared: Examination) -> tuple[CheckResult, ...]:
    """The results in the order in which the checks are declared, whichever runs first."""
    gate = shared.config.gate
    measured = shared.cache.measured() if gate.order == "measured" else None
    found: dict[str, CheckResult] = {}
    for check in run_order(shared.config.check, measured):
        try:
            found[check.name] = _result(shared, check, found)
        except Displaced as displaced:
            found[check.name] = judge(check, displaced.outcome, str(displaced))
            break
        if gate.fail_fast and check.blocking and not found[check.name].passed:
            break
    return tuple(found[check.name] for check in shared.config.check if check.name in found)


def _result(shared: Examination, check: CheckConfig, found: dict[str, CheckResult]) -> CheckResult:
    if unmet := [need for need in check.needs if not found[need].passed]:
        return _not_run(check, f"was not run: it needs {', '.join(unmet)}, which did not pass", passed=False)
    if not _is_needed(shared, check):
        return _not_run(check, f"the change touches nothing of {', '.join(check.paths)}"[:200], passed=True)
    return _looked_at(shared, check) if check.run is None else examine(shared, check)


def _looked_at(shared: Examination, check: CheckConfig) -> CheckResult:
    """The result of a check that Tapeout does itself."""
    result, log = look(check, shared.config.gate, shared.subject)
    with open(os.path.join(shared.logs, f"{check.name}.log"), "w", encoding="utf-8", newline="") as file:
        file.write(log)
    return result


def _is_needed(shared: Examination, check: CheckConfig) -> bool:
    """Whether the change touches what the check is about; what a person asks about is always looked at."""
    if not check.paths or shared.subject.base == shared.subject.commit:
        return True
    return any(matches(path, check.paths) for path in shared.trees.touched)


def _not_run(check: CheckConfig, why: str, *, passed: bool) -> CheckResult:
    return CheckResult(
        check.name, check.kind, passed, "" if passed else why, None, 0.0, "", "",
        blocking=check.blocking, skipped=why if passed else "",
    )  # fmt: skip
