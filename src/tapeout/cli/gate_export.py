"""`tapeout gate export`: what a gate run found, as SARIF and JUnit for other tools."""

from __future__ import annotations

import argparse
import os

from tapeout.base.errors import EnvironmentProblem, NotFound, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.output import Result, write_raw

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes

STANDARD_OUTPUT = "-"
"""The file of this name."""


def add_export(parser: Describes) -> None:
    """Arguments of `gate export`."""
    parser.add_argument("which", metavar="RUN|COMMIT", help="a gate run, or a commit that landed through one")
    parser.add_argument("--sarif", metavar="FILE", help="write the findings as SARIF 2.1.0; `-` is standard output")
    parser.add_argument("--junit", metavar="FILE", help="write checks and tests as JUnit XML; `-` is standard output")
    add_json(parser)
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> Result | None:
    import json

    from tapeout.gate.reportfile import load_reports
    from tapeout.gate.reports.export import to_junit, to_sarif

    if not arguments.sarif and not arguments.junit:
        raise UsageError("nothing to write", hint="give --sarif FILE, --junit FILE or both")
    printed = [arguments.sarif, arguments.junit].count(STANDARD_OUTPUT)
    if printed > 1 or (printed and arguments.json):
        raise UsageError("only one thing can be written to standard output", hint="name a file for the other")
    evidence = here().paths.evidence
    found = load_reports(evidence, arguments.which) or load_reports(evidence, _run_of(arguments.which))
    if found is None:
        raise NotFound(f"what the run of {arguments.which!r} reported is not kept here any more")
    if arguments.sarif:
        _write(arguments.sarif, json.dumps(to_sarif(found), indent=1) + "\n")
    if arguments.junit:
        _write(arguments.junit, to_junit(found))
    if printed:
        return None
    findings = sum(len(check.report.diagnostics) for check in found.checks) + len(found.gate)
    tests = sum(len(check.report.cases) for check in found.checks)
    data = {"run": found.run, "commit": found.commit, "findings": findings, "tests": tests}
    return Result(data, f"run {found.run} of {found.commit[:12]}: {findings} findings, {tests} tests")


def _run_of(name: str) -> str:
    """The run with which a commit landed."""
    from tapeout import gate
    from tapeout.base.git import commit_named, ensure_bare

    hub = ensure_bare(here().paths.hub)
    hint = "`tapeout gate run --json` says which run it was, `tapeout gate verify --all` lists what landed"
    commit = commit_named(hub, name, "the hub, nor a gate run", hint=hint)
    record = gate.read_evidence(hub, commit)
    if record is None:
        raise NotFound(f"{commit[:12]} has no evidence: it did not land through the gate")
    return str(record["run"])


def _write(path: str, text: str) -> None:
    if path == STANDARD_OUTPUT:
        write_raw(text)
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {os.path.abspath(path)}: {error.strerror}") from error
