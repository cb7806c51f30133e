"""The record of a gate run: what was judged, by which configuration, and how each check ended."""

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from tapeout import __version__
from tapeout.base.moments import utc
from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig, Config
from tapeout.gate.verdict import CheckResult, Verdict, facts

VERSION = 2
"""Of the record. The first version was the whole note, and not signed."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where a gated commit comes from; empty for one that a person asked about."""

    change: str = ""
    issue: str = ""
    attempt: str = ""


def record_of(verdict: Verdict, config: Config, digest: str, origin: Origin) -> Record:
    """The record of a verdict under the configuration with this digest."""
    commands = {check.name: recorded_command(check) for check in config.check}
    return {
        "version": VERSION,
        "tapeout": __version__,
        "at": utc(time.time()),
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


def _check(result: CheckResult, command: str | list[str]) -> Record:
    return {**facts(result), "command": command}


def recorded_command(check: CheckConfig) -> str | list[str]:
    """A check's command as a record has it."""
    if check.run is None:
        return check.command
    return check.run if isinstance(check.run, str) else list(check.run)


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
