"""Showing that checks can go red: known defects are planted in a scratch copy, and each check is run on them.

What may go wrong: a check is red on the code as it is, so that nothing can be learned from its being red; its program
is missing (`GateUnavailable`); a check of a kind for which no defect is known here (`defect` in its table plants one).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pygit2

from tapeout.base.errors import UsageError
from tapeout.base.git import signature
from tapeout.base.paths import Repository as UserRepository
from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.checkout import Checkout
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.execute import execute
from tapeout.gate.prove.plantings import Planting, Repository, plantings
from tapeout.gate.redness import is_red
from tapeout.gate.runs import identity, remove_tree, run_folder
from tapeout.gate.subject import Piece
from tapeout.gate.target import commit_of, load_config
from tapeout.gate.verdict import CheckResult

_SCOPE = ("tapeout_planted_scope/**",)
"""What the planted changes are taken to declare: whatever is planted lies outside."""

OWN_DEFECT = "the defect that `defect` plants"


@dataclass(frozen=True)
class Trial:
    """One check, run on one planted defect."""

    check: str
    defect: str
    path: str
    """Where it was planted; empty for a defect of the check's own."""
    seen: bool
    reason: str
    """What the check said; empty if it saw nothing."""


@dataclass(frozen=True)
class Proof:
    """What is known of one check now."""

    check: str
    kind: str
    trials: tuple[Trial, ...]
    obstacle: str = ""
    """Why nothing could be learned; empty if the check was tried."""

    @property
    def proven(self) -> bool:
        """Whether it saw at least one defect."""
        return any(trial.seen for trial in self.trials)


def prove(
    paths: StatePaths,
    user: UserRepository,
    revision: str,
    *,
    names: tuple[str, ...] = (),
    every: bool = False,
    tell: Callable[[Proof], None] = lambda _: None,
) -> list[Proof]:
    """Try the checks of a commit's `tapeout.toml` on defects planted into that commit.

    Args:
        paths: where the scratch copies and the logs go.
        user: the repository.
        revision: the commit.
        names: of the checks to try; all by default.
        every: try all defects; by default a check is done once it has seen one.
        tell: is called with what came of each check as soon as it is known.

    Raises:
        NotFound: there is no such commit.
        UsageError: it has no valid configuration, or no check of such a name.
        GateUnavailable: no verdict is possible on this machine now.
    """
    source = pygit2.Repository(user.root)
    commit = commit_of(source, revision)
    config = load_config(source, commit)
    unknown = sorted(set(names) - {check.name for check in config.check})
    if unknown:
        raise UsageError(
            f"there is no check {unknown[0]!r}", hint=f"there are {', '.join(c.name for c in config.check)}"
        )
    with run_folder(paths) as (_, folder):
        scratch = _scratch(user.git_dir, os.path.join(folder, "scratch.git"))
        prover = _Prover(paths, scratch, commit, config, folder)
        found = []
        for check in config.check:
            if not names or check.name in names:
                found.append(prover.prove(check, every=every))
                tell(found[-1])
        return found


def _scratch(source: str, folder: str) -> pygit2.Repository:
    """A repository of our own that borrows all objects: nothing is written to the user's."""
    made = pygit2.init_repository(folder, bare=True)
    with open(os.path.join(folder, "objects", "info", "alternates"), "w", encoding="utf-8") as file:
        file.write(os.path.realpath(os.path.join(source, "objects")) + "\n")
    for name in ("packed-refs", "shallow"):
        if os.path.exists(os.path.join(source, name)):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
    return pygit2.Repository(made.path)


class _Prover:
    def __init__(self, paths: StatePaths, scratch: pygit2.Repository, commit: str, config: Config, folder: str) -> None:
        self._paths = paths
        self._scratch = scratch
        self._commit = commit
        self._config = config
        self._folder = folder
        self._repository = _read(scratch, commit, config.gate.tests)

    def prove(self, check: CheckConfig, *, every: bool) -> Proof:
        as_it_is = self._run(check, self._commit)
        if not as_it_is.passed:
            return self._proof(check, (), f"is red on the code as it is: {as_it_is.reason}")
        trials: list[Trial] = []
        for planting, commit in self._planted(check):
            result = self._run(check, commit)
            seen = is_red(result)
            trials.append(Trial(check.name, planting.defect, planting.path, seen, result.reason if seen else ""))
            if seen and not every:
                break
        return self._proof(check, tuple(trials), "" if trials else "no defect is known that a check of its kind sees")

    def _proof(self, check: CheckConfig, trials: tuple[Trial, ...], obstacle: str) -> Proof:
        return Proof(check.name, check.kind, trials, obstacle)

    def _planted(self, check: CheckConfig) -> Iterator[tuple[Planting, str]]:
        if check.defect is not None:
            yield Planting(OWN_DEFECT, "", b""), self._commit_after(check.defect)
        command = check.command
        for planting in plantings(check.kind, command, self._repository):
            yield planting, self._commit_with(planting)

    def _run(self, check: CheckConfig, commit: str) -> CheckResult:
        alone = check.model_copy(update={"needs": (), "paths": ()})
        gate = self._config.gate.model_copy(update={"flaky_reruns": 0})
        config = self._config.model_copy(update={"check": (alone,), "gate": gate})
        pieces = (Piece(self._commit, commit, _SCOPE),)
        subject = Subject(self._scratch.path, commit, self._commit, config.project.branch, pieces=pieces)
        verdict = run_checks(self._paths, subject, config, fresh=True)
        (result,) = verdict.results
        return result

    def _commit_with(self, planting: Planting) -> str:
        index = pygit2.Index()
        index.read_tree(self._scratch[self._commit].peel(pygit2.Tree))
        mode = index[planting.path].mode if planting.path in index else pygit2.enums.FileMode.BLOB
        index.add(pygit2.IndexEntry(planting.path, self._scratch.create_blob(planting.content), mode))
        return self._record(index.write_tree(self._scratch), planting.message)

    def _commit_after(self, command: str) -> str:
        """The files as a command of the user's leaves them."""
        folder = os.path.join(self._folder, "planting")
        checkout = Checkout(
            self._scratch.path, folder, self._commit, base=self._commit, branch=self._config.project.branch
        )
        try:
            plant = CheckConfig(name="defect", run=command)
            places = identity(self._folder), identity(folder)
            captured = execute(plant, self._config, checkout.folder, run="planting", folder=self._folder)
            if (identity(self._folder), identity(folder)) != places:
                raise UsageError(f"`defect = {command!r}` moved the folder of its files away")
            if captured.exit_code != 0:
                raise UsageError(f"`defect = {command!r}` failed: {captured.output.strip()[-200:]}")
            # By our own repository: what the command made of the one in the folder may lead anywhere.
            made = pygit2.Repository(self._scratch.path)
            made.workdir = folder
            made.index.read_tree(made[self._commit].peel(pygit2.Tree))
            made.index.add_all()
            return self._record(made.index.write_tree(), "Plant a defect")
        finally:
            remove_tree(folder)

    def _record(self, tree: pygit2.Oid, message: str) -> str:
        author = signature()
        return str(self._scratch.create_commit(None, author, author, message, tree, [pygit2.Oid(hex=self._commit)]))


def _read(repository: pygit2.Repository, commit: str, tests: tuple[str, ...]) -> Repository:
    blobs: dict[str, pygit2.Oid] = {}
    index = pygit2.Index()
    index.read_tree(repository[commit].peel(pygit2.Tree))
    for entry in index:
        if entry.mode in {pygit2.enums.FileMode.BLOB, pygit2.enums.FileMode.BLOB_EXECUTABLE}:
            blobs[entry.path] = entry.id

    def read(path: str) -> bytes:
        return repository[blobs[path]].peel(pygit2.Blob).data

    return Repository(tuple(blobs), read, tests)
