"""`tapeout gate`: run the checks on any commit; show the evidence of a landed one."""

from __future__ import annotations

import argparse

from tapeout.base.errors import GateFailed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli import gate_evidence
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.gate_export import add_export
from tapeout.cli.gate_prove import add_prove
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes
    from tapeout.gate import CheckResult


def add_arguments(parser: Describes) -> None:
    """The commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="run the checks of a commit's tapeout.toml on it, in a clean checkout")
    run.add_argument("revision", nargs="?", default="HEAD")
    run.add_argument(
        "--base", metavar="REVISION", help="what ratchets and `paths` compare with; default: nothing is new"
    )
    run.add_argument("--fresh", action="store_true", help="run everything, whatever is known from earlier runs")
    add_json(run)
    run.set_defaults(run=_run)
    add_prove(commands.add_parser("prove", help="plant known defects and see which checks notice them"))
    add_export(commands.add_parser("export", help="what a run found, as SARIF and JUnit for other tools"))
    show = commands.add_parser("show", help="the evidence with which a commit landed")
    gate_evidence.add_show(show)
    gate_evidence.add_verify(commands.add_parser("verify", help="whether the evidence of landed commits is true"))


def _run(arguments: argparse.Namespace) -> Result:
    from tapeout import gate

    context = here()
    verdict = gate.run_gate_here(
        context.paths, context.repository, arguments.revision, base=arguments.base, fresh=arguments.fresh
    )
    rows = [(r.name, r.kind, _word(r), f"{r.seconds:.1f}s", r.reason or _remark(r)) for r in verdict.results]
    text = table(("check", "kind", "result", "time", ""), rows)
    where = f"{verdict.candidate[:12]} passes the gate (run {verdict.run})"
    if verdict.warning:
        text = f"WARNING: {verdict.warning}\n\n{text}"
    if verdict.passed:
        return Result(gate.summary(verdict), f"{text}\n\n{where}")
    if not arguments.json:
        excerpts = [f"{found.check}: {found.reason}\n{found.excerpt}".rstrip() for found in verdict.findings]
        print("\n\n".join([text, *excerpts, f"run {verdict.run}"]))  # noqa: T201
    raise GateFailed(
        f"{verdict.candidate[:12]} does not pass the gate: {verdict.reason}", details=gate.summary(verdict)
    )


def _word(result: CheckResult) -> str:
    if result.skipped:
        return "skip"
    if not result.passed:
        return "FAIL" if result.blocking else "advice"
    return "flaky" if result.flaky else "pass"


def _remark(result: CheckResult) -> str:
    """What a pass must not hide, and with which tool it was made."""
    from tapeout.gate.verdict import notes

    said = [note.partition(": ")[2] for note in notes(result)]
    warnings = len(result.report.diagnostics)
    counted = [f"{warnings} finding{'s' if warnings != 1 else ''} that do not count"] if warnings else []
    return "; ".join([*said, *counted, *filter(None, [result.version])])
