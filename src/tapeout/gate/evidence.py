"""The record of a gate run: a file beside its logs, and a git note on the commit that passed.

The note is what main's history is checked against: whoever reads `git log --notes=tapeout` sees why a commit landed.
"""

import json
import os
from dataclasses import dataclass
from typing import Any

import pygit2

from tapeout import __version__
from tapeout.base.git import signature
from tapeout.base.paths import StatePaths
from tapeout.config import Config
from tapeout.gate.verdict import CheckResult, Verdict, facts

NOTES_REF = "refs/notes/tapeout"

Record = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where a gated commit comes from; empty for one that a person asked about."""

    change: str = ""
    issue: str = ""
    attempt: str = ""


def record_of(verdict: Verdict, config: Config, digest: str, origin: Origin) -> Record:
    """The record of a verdict under the configuration with this digest."""
    commands = {check.name: check.command if check.run is None else check.run for check in config.check}
    return {
        "version": 1,
        "tapeout": __version__,
        "run": verdict.run,
        "candidate": verdict.candidate,
        "base": verdict.base,
        "tree": verdict.tree,
        "change": origin.change,
        "issue": origin.issue,
        "attempt": origin.attempt,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "seconds": round(verdict.seconds, 3),
        "sandbox": verdict.sandbox,
        "config_digest": digest,
        "checks": [_check(result, commands[result.name]) for result in verdict.results],
        "findings": [
            {"check": found.check, "reason": found.reason, "excerpt": found.excerpt} for found in verdict.findings
        ],
    }


def _check(result: CheckResult, command: str | tuple[str, ...]) -> Record:
    return {**facts(result), "command": command if isinstance(command, str) else list(command)}


def write_record(paths: StatePaths, record: Record) -> str:
    """Store the record beside the logs of its run; returns the file's path."""
    folder = os.path.join(paths.evidence, record["run"])
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "verdict.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)
    return path


def attach(repository: pygit2.Repository, commit: str, record: Record) -> None:
    """Attach the record to a commit as a git note, replacing one that is there."""
    author = signature()
    text = json.dumps(record, indent=1) + "\n"
    repository.create_note(text, author, author, commit, NOTES_REF, True)


def read_evidence(repository: pygit2.Repository, commit: str) -> Record | None:
    """The record that is attached to a commit; None if there is none that can be read."""
    try:
        found = json.loads(repository.lookup_note(commit, NOTES_REF).message)
    except (KeyError, ValueError, pygit2.GitError):
        return None
    return found if isinstance(found, dict) else None
