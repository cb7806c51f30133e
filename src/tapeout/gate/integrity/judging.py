"""The whole judgement of a candidate: its files and commits, its checks, and its tests once more.

What may go wrong is what may go wrong with a gate run (`checks`); a second run that cannot be made counts as failed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pygit2

from tapeout.base.git import open_bare
from tapeout.base.paths import StatePaths
from tapeout.config import Config
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.integrity.change import FileChange, read_change
from tapeout.gate.integrity.part import Part
from tapeout.gate.integrity.rules import permissions, read_findings, surroundings
from tapeout.gate.integrity.second_run import to_prove, to_restore, with_files
from tapeout.gate.verdict import Finding, Verdict, findings_of

BASE_TESTS = "base-tests"
BUG_TESTS = "bug-tests"

_ALLOW = "If that is meant, a person can allow it: tapeout issue allow ID tests"

RunTests = Callable[[str], Verdict]
"""Runs the test checks on a commit."""


def judge_change(paths: StatePaths, subject: Subject, config: Config, parts: Sequence[Part]) -> Verdict:
    """Judge a candidate that is made of these changes.

    Raises:
        GateUnavailable: no verdict is possible on this machine now.
    """
    begun = time.monotonic()
    repository = open_bare(subject.source)
    found = tuple(finding for part in parts for finding in read_findings(repository, part, config))
    verdict = run_checks(paths, subject, config, found)
    if findings_of(verdict.results) or len(verdict.results) < len(config.check):
        return verdict  # a second run would say the same once more
    tests = only_tests(config)
    if not tests.check:
        return verdict

    def run(commit: str) -> Verdict:
        return run_checks(paths, replace(subject, commit=commit), tests)

    more = tuple(_second_runs(repository, subject, config, parts, run))
    return replace(
        verdict,
        passed=verdict.passed and not more,
        findings=verdict.findings + more,
        seconds=time.monotonic() - begun,
    )


def only_tests(config: Config) -> Config:
    """The configuration with nothing but its blocking test checks, and what they need; they run whatever changed."""
    needs = {check.name: check.needs for check in config.check}
    wanted = [check.name for check in config.check if check.kind == "test" and check.blocking]
    for name in wanted:
        wanted += [need for need in needs[name] if need not in wanted]
    tests = tuple(check.model_copy(update={"paths": ()}) for check in config.check if check.name in wanted)
    return config.model_copy(update={"check": tests, "gate": config.gate.model_copy(update={"fail_fast": True})})


def _second_runs(
    repository: pygit2.Repository, subject: Subject, config: Config, parts: Sequence[Part], run: RunTests
) -> Iterator[Finding]:
    wanted, edits = _wanted(repository, config, parts)
    together: list[FileChange] = []
    for part, restore, prove in wanted:
        if any(edits[file.path] > 1 for file in restore):
            # Others of the combination edit these tests too: they must hold as if what is below had landed.
            yield from _base_tests(repository, part.commit, part.base, restore, run)
        else:
            together += restore
        if prove:
            yield from _bug_tests(repository, part, prove, run)
    if together:
        yield from _base_tests(repository, subject.commit, subject.base, together, run)


class _Wanted(NamedTuple):
    """What one change makes us run again."""

    part: Part
    restore: list[FileChange]
    prove: list[FileChange]


def _wanted(
    repository: pygit2.Repository, config: Config, parts: Sequence[Part]
) -> tuple[list[_Wanted], Mapping[str, int]]:
    """What each change makes us run again, and how many of the changes touch a file."""
    around = surroundings(config)
    wanted: list[_Wanted] = []
    edits: Counter[str] = Counter()
    for part in parts:
        files = read_change(repository, part.base, part.commit).files
        edits.update(file.path for file in files)
        if "tests" not in permissions(part, config):
            prove = to_prove(files, around) if part.is_bug and config.gate.bug_tests else []
            wanted.append(_Wanted(part, to_restore(files, around), prove))
    return wanted, edits


def _base_tests(
    repository: pygit2.Repository, commit: str, base: str, files: list[FileChange], run: RunTests
) -> Iterator[Finding]:
    try:
        verdict = run(with_files(repository, commit, base, files))
    except (pygit2.GitError, ValueError) as error:
        yield Finding(BASE_TESTS, f"the target branch's own tests cannot be put into this change: {error}")
        return
    if not verdict.passed:
        reasons = "; ".join(f"{finding.check}: {finding.reason}" for finding in verdict.findings)
        excerpts = [finding.excerpt for finding in verdict.findings if finding.excerpt]
        todo = f"The tests that this change edits were run as they are on the target branch. Mend the code. {_ALLOW}"
        yield Finding(
            BASE_TESTS, f"the target branch's own tests fail on this change: {reasons}", "\n".join([*excerpts, todo])
        )


def _bug_tests(repository: pygit2.Repository, part: Part, files: list[FileChange], run: RunTests) -> Iterator[Finding]:
    try:
        verdict = run(with_files(repository, part.base, part.commit, files))
    except (pygit2.GitError, ValueError) as error:
        yield Finding(BUG_TESTS, f"the tests of this change cannot be put into the target branch: {error}")
        return
    if verdict.passed:
        names = "\n".join(file.path for file in files[:20])
        todo = f"Write a test that fails as long as the bug is there. {_ALLOW}"
        yield Finding(
            BUG_TESTS, "the tests of this change pass without it too: they do not show the bug", f"{names}\n{todo}"
        )
