"""One check of one run: from its version and the cache to a result.

What may go wrong, and whose fault it is: the tool is missing or of another version on the target branch too, the disk
is full (the machine's: `GateUnavailable`); everything else is the change's, and the result says why it failed.
"""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tapeout import __version__
from tapeout.config import CheckConfig, Config
from tapeout.gate import flaky, judge
from tapeout.gate.cache import Cache, Sighting, key_of
from tapeout.gate.confine import sandbox_note
from tapeout.gate.environment import GateUnavailable, disk_is_full
from tapeout.gate.execute import check_environment
from tapeout.gate.judge import Base, Outcome
from tapeout.gate.passes import from_json, to_json
from tapeout.gate.reports.fingerprint import counts, fingerprinted, new_findings
from tapeout.gate.rooms import Displaced, Rooms, Side, missing
from tapeout.gate.subject import Subject, Trees
from tapeout.gate.toolchain import toolchain
from tapeout.gate.verdict import CheckResult
from tapeout.gate.versions import fits, version_line

VERSION_SECONDS = 60.0
"""How long a version command may take."""

LOOKS_AT_HISTORY = frozenset({"coverage", "size", "scope", "commits", "secrets", "custom"})
"""Kinds that may look at commits and at the base: for them a pass counts for that commit on that base only."""

_OF_NO_CHECK = {"fail_fast", "order"}
"""Settings of the gate that say which checks run, and when, and change nothing about any of them."""


@dataclass(frozen=True)
class Examination:
    """What all checks of a run share."""

    run: str
    folder: str
    logs: str
    subject: Subject
    config: Config
    rooms: Rooms
    trees: Trees
    cache: Cache

    @cached_property
    def environment(self) -> str:
        """Digest of all that checks get from this machine and the configuration but their programs."""
        machine = os.uname()
        return key_of(
            variables=check_environment(self.config, "", ""),
            sandbox=sandbox_note(self.config),
            gate=self.config.gate.model_dump(mode="json", exclude=_OF_NO_CHECK),
            machine=(machine.sysname, machine.machine),
        )


def examine(shared: Examination, check: CheckConfig) -> CheckResult:
    """The result of a check.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
        Displaced: the check moved the run's folder away.
        pygit2.GitError: the candidate's files cannot be checked out.
    """
    return _Check(shared, check).result()


class _Check:
    def __init__(self, shared: Examination, check: CheckConfig) -> None:
        self._shared = shared
        self._check = check
        self._trees = shared.trees
        commands = [check.argv, *([_version_check(check).argv] if check.version else [])]
        self._toolchain = toolchain(commands, check_environment(shared.config, "", ""))

    def result(self) -> CheckResult:
        version, problem = self._version("candidate")
        if problem:
            return self._other_version(version, problem)
        key = self._key(version)
        if found := self._passed_before(key):
            return replace(found, version=version)
        result = replace(self._run(), version=version)
        if result.passed and not result.flaky and self._may_be_cached:
            self._shared.cache.put(key, self._check.name, to_json(result, self._shared.run))
        return result

    # The cache

    @property
    def _may_be_cached(self) -> bool:
        return self._check.cacheable and self._check.kind != "dependencies"

    def _parts(self) -> dict[str, Any]:
        return {
            "tapeout": __version__,
            "check": self._check.model_dump(mode="json"),
            "toolchain": self._toolchain,
            "environment": self._shared.environment,
        }

    def _key(self, version: str) -> str:
        check, subject = self._check, self._shared.subject
        return key_of(
            **self._parts(),
            what="pass",
            tree=self._trees.tree,
            version=version,
            base=self._trees.base_tree if check.ratchet else "",
            history=(subject.commit, subject.base) if check.kind in LOOKS_AT_HISTORY else (),
        )

    def _passed_before(self, key: str) -> CheckResult | None:
        if not self._may_be_cached:
            return None
        found = from_json(self._check, self._shared.cache.get(key))
        return found if found is not None and self._ran_enough(found) else None

    def _ran_enough(self, found: CheckResult) -> bool:
        """Whether a pass has as many tests as this base wants: it may have been given on another one."""
        if self._check.kind != "test":
            return True
        cache = self._shared.cache
        before = cache.tests_ran(self._tests_name, self._trees.landed)
        ran = found.report.ran
        if ran is None:
            ran = cache.tests_ran(self._tests_name, (self._trees.tree,))
        return before is None or (ran is not None and not judge.fewer_tests(ran, before))

    # The tool's version

    def _version(self, side: Side) -> tuple[str, str]:
        """What the tool says of itself, and why that is not what is wanted; both empty if nobody asked."""
        check = self._check
        if check.version is None:
            return "", ""
        tree = self._trees.tree if side == "candidate" else self._trees.base_tree
        key = key_of(**self._parts(), what="version", tree=tree)
        version = self._shared.cache.get(key)
        if not isinstance(version, str):
            asked = _version_check(check)
            outcome = self._shared.rooms.run(asked, side)
            reason = judge.failure(asked, outcome)
            version = version_line(outcome.captured.output)
            if reason or not version:
                return version, f"its version is not known: {reason or 'the command printed nothing'}"
            self._shared.cache.put(key, check.name, version)
        if check.expects is None or fits(version, check.expects):
            return version, ""
        return version, f"its version is {version!r}, and {check.expects!r} is required"

    def _other_version(self, version: str, problem: str) -> CheckResult:
        """The machine's fault, unless the target branch has the right one: then the change brings its own."""
        subject = self._shared.subject
        if subject.base == subject.commit or self._version("base")[1]:
            raise GateUnavailable(
                f"check {self._check.name}: {problem}", hint="install what tapeout.toml expects, or change `expects`"
            )
        return CheckResult(
            self._check.name, self._check.kind, False, f"with this change {problem}", None, 0.0, "", "",
            blocking=self._check.blocking, version=version,
        )  # fmt: skip

    # Running it

    def _run(self) -> CheckResult:
        outcome = self._outcome()
        result = self._judged(outcome)
        if not result.passed and disk_is_full(self._shared.folder):
            raise GateUnavailable(f"check {self._check.name}: the disk is full", hint="free some space")
        self._shared.cache.measure(self._check.name, outcome.captured.seconds, failed=not result.passed)
        if not result.passed and self._may_be_flaky(outcome):
            result = self._again(outcome, result)
        if result.passed:
            self._note_tests(outcome)
        return result

    def _outcome(self, log: str = "") -> Outcome:
        """Run the check on the candidate."""
        check, rooms = self._check, self._shared.rooms
        outcome = rooms.run(check)
        if missing(outcome.captured) and rooms.misses_on_base(check):
            reason = judge.missing_reason(outcome.captured.exit_code or 0)
            last = outcome.captured.output.strip().splitlines()[-1:]
            raise GateUnavailable(
                f"check {check.name}: {reason}: {(last or check.argv)[0][:200]}",
                hint="install it, or put it on the PATH of the floor",
            )
        self._write_log(f"{check.name}{log}.log", outcome)
        return self._fingerprinted(outcome, self._shared.subject.commit)

    def _write_log(self, name: str, outcome: Outcome) -> None:
        with open(os.path.join(self._shared.logs, name), "w", encoding="utf-8", newline="") as file:
            file.write(outcome.captured.output)

    def _fingerprinted(self, outcome: Outcome, commit: str) -> Outcome:
        found = fingerprinted(outcome.report.diagnostics, lambda path: self._trees.lines(commit, path))
        return replace(outcome, report=replace(outcome.report, diagnostics=found))

    def _judged(self, outcome: Outcome) -> CheckResult:
        check = self._check
        if check.ratchet and judge.can_be_old(check, outcome):
            return self._ratcheted(outcome)
        reason = judge.failure(check, outcome)
        if not reason and check.kind == "test":
            before = self._shared.cache.tests_ran(self._tests_name, self._trees.landed)
            reason = judge.fewer_tests(_ran(outcome), before)
        return judge.judge(check, outcome, reason)

    # The ratchet

    def _ratcheted(self, outcome: Outcome) -> CheckResult:
        commit = self._shared.subject.commit
        found = outcome.report.diagnostics
        base = self._base(outcome)
        new = new_findings(
            found, base.counts, lambda path: self._trees.lines(commit, path), self._trees.renamed
        )  # fmt: skip
        shown = replace(outcome, report=replace(outcome.report, diagnostics=new))
        result = judge.judge(self._check, shown, judge.ratcheted(self._check, shown, base))
        return replace(result, old=len(found) - len(new))

    def _base(self, outcome: Outcome) -> Base:
        """What the check finds on the base, from the cache if it is known there."""
        own = Base(outcome.captured.exit_code, counts(outcome.report.diagnostics))
        if self._trees.base_tree == self._trees.tree:
            return own
        self._remember(self._trees.tree, own)  # the candidate becomes a base when it lands
        key = self._base_key(self._trees.base_tree)
        known = self._shared.cache.get(key)
        if isinstance(known, dict):
            return Base(known["exit_code"], known["counts"])
        ran = self._shared.rooms.run(self._check, "base")
        self._write_log(f"{self._check.name}.base.log", ran)
        if problem := judge.broken_off(self._check, ran):
            return Base(None, {}, problem)
        ran = self._fingerprinted(ran, self._shared.subject.base)
        base = Base(ran.captured.exit_code, counts(ran.report.diagnostics))
        self._remember(self._trees.base_tree, base)
        return base

    def _base_key(self, tree: str) -> str:
        return key_of(**self._parts(), what="base", tree=tree)

    def _remember(self, tree: str, base: Base) -> None:
        if self._may_be_cached:
            found = {"exit_code": base.exit_code, "counts": dict(base.counts)}
            self._shared.cache.put(self._base_key(tree), self._check.name, found)

    # Flaky tests

    def _may_be_flaky(self, outcome: Outcome) -> bool:
        return (
            self._check.kind == "test"
            and outcome.captured.exit_code != 0
            and not judge.broken_off(self._check, outcome)
            and flaky.worth_rerunning(outcome.report.failed_tests)
        )

    def _again(self, first: Outcome, failed: CheckResult) -> CheckResult:
        """The result after running a failed test check again on the same files."""
        for number in range(1, self._shared.config.gate.flaky_reruns + 1):
            outcome = self._outcome(f".rerun{number}")
            result = self._judged(outcome)
            if result.passed:
                return self._flaky(first, failed, result)
        return failed

    def _flaky(self, first: Outcome, failed: CheckResult, passed: CheckResult) -> CheckResult:
        check, subject, cache = self._check, self._shared.subject, self._shared.cache
        tests = first.report.failed_tests
        objection = flaky.objection(
            tests,
            cache.sightings(check.name),
            issue=subject.issue,
            landed=self._trees.landed,
            touched=self._trees.touched,
        )
        names = tuple(case.id for case in tests) or (check.name,)
        for name in names:
            cache.note_flaky(check.name, Sighting(name, subject.issue, self._trees.tree))
        own = flaky.are_own(tests, self._trees.touched)
        if not objection:
            return replace(passed, flaky=names, own_flaky=own)
        reason = f"flaky: {', '.join(names)[:200]} failed, then passed on the same files; refused, because {objection}"
        return replace(failed, reason=reason, flaky=names, own_flaky=own)

    # How many tests there are

    @property
    def _tests_name(self) -> str:
        return f"{self._check.name} {key_of(run=self._check.argv)[:16]}"

    def _note_tests(self, outcome: Outcome) -> None:
        ran = _ran(outcome)
        if self._check.kind == "test" and ran is not None:
            self._shared.cache.note_tests(self._tests_name, self._trees.tree, ran)


def _ran(outcome: Outcome) -> int | None:
    return outcome.report.ran if outcome.report.ran is not None else judge.tests_in(outcome.captured.output)


def _version_check(check: CheckConfig) -> CheckConfig:
    update = {"run": check.version, "timeout": VERSION_SECONDS, "report": "exit", "report_file": None, "kind": "custom"}
    return check.model_copy(update=update)


__all__ = ["Displaced", "Examination", "examine"]
