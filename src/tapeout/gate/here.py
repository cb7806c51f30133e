"""Asking the gate about any commit, without landing anything."""

from collections.abc import Sequence

import pygit2

from tapeout.base.paths import Repository, StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.evidence import Origin, record_of, write_record
from tapeout.gate.target import commit_of, config_digest, load_config
from tapeout.gate.verdict import Verdict


def run_gate_here(
    paths: StatePaths,
    repository: Repository,
    revision: str = "HEAD",
    *,
    base: str | None = None,
    fresh: bool = False,
) -> Verdict:
    """Judge any commit of the user's repository by its own `tapeout.toml`, and keep the evidence.

    Args:
        paths: where evidence and what earlier runs found out are kept.
        repository: the user's.
        revision: the commit.
        base: what it is compared with by checks that look at a change only; by default the commit itself.
        fresh: run everything, whatever is known from earlier runs.

    Raises:
        NotFound: no such commit.
        UsageError: the commit has no valid configuration.
        GateUnavailable: no verdict is possible on this machine now.
    """
    user = pygit2.Repository(repository.root)
    commit = commit_of(user, revision)
    config = load_config(user, commit)
    compared = commit_of(user, base) if base is not None else commit
    subject = Subject(repository.git_dir, commit, compared, config.project.branch)
    verdict = run_checks(paths, subject, config, fresh=fresh)
    write_record(paths, record_of(verdict, config, config_digest(user, commit), Origin()))
    return verdict


def try_checks(paths: StatePaths, repository: Repository, checks: Sequence[CheckConfig]) -> dict[str, str]:
    """Run each of these checks alone on the last commit of the user's repository.

    Returns:
        Name of a check to why it is red or cannot be run there; empty if it is green.

    Raises:
        NotFound: there is no commit yet.
    """
    user = pygit2.Repository(repository.root)
    commit = commit_of(user, "HEAD")
    found = {}
    for check in checks:
        alone = check.model_copy(update={"needs": ()})
        config = Config(check=(alone,))
        try:
            verdict = run_checks(paths, Subject(repository.git_dir, commit, commit, config.project.branch), config)
            found[check.name] = "" if verdict.passed else verdict.findings[0].reason
        except GateUnavailable as error:
            found[check.name] = error.message
    return found
