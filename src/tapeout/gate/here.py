"""Asking the gate about any commit, without landing anything."""

import pygit2

from tapeout.base.paths import Repository, StatePaths
from tapeout.gate.checks import Subject, run_checks
from tapeout.gate.evidence import Origin, record_of, write_record
from tapeout.gate.target import commit_of, config_digest, load_config
from tapeout.gate.verdict import Verdict


def run_gate_here(paths: StatePaths, repository: Repository, revision: str = "HEAD") -> Verdict:
    """Judge any commit of the user's repository by its own `tapeout.toml`, and keep the evidence.

    Raises:
        NotFound: no such commit.
        UsageError: the commit has no valid configuration.
        GateUnavailable: no verdict is possible on this machine now.
    """
    user = pygit2.Repository(repository.root)
    commit = commit_of(user, revision)
    config = load_config(user, commit)
    subject = Subject(repository.git_dir, commit, commit, config.project.branch)
    verdict = run_checks(paths, subject, config)
    write_record(paths, record_of(verdict, config, config_digest(user, commit), Origin()))
    return verdict
