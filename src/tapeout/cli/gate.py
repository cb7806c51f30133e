"""`tapeout gate`: run the checks on any commit; show the evidence of a landed one."""

from __future__ import annotations

import argparse
from typing import Any

from tapeout.base.errors import GateFailed, NotFound
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here
from tapeout.cli.gate_prove import add_prove
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """The commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="run the checks of a commit's tapeout.toml on it, in a clean checkout")
    run.add_argument("revision", nargs="?", default="HEAD")
    add_json(run)
    run.set_defaults(run=_run)
    add_prove(commands.add_parser("prove", help="plant known defects and see which checks notice them"))
    show = commands.add_parser("show", help="the evidence with which a commit landed")
    show.add_argument("commit")
    add_json(show)
    show.set_defaults(run=_show)


def _run(arguments: argparse.Namespace) -> Result:
    from tapeout import gate

    context = here()
    verdict = gate.run_gate_here(context.paths, context.repository, arguments.revision)
    rows = [(r.name, r.kind, "pass" if r.passed else "FAIL", f"{r.seconds:.1f}s", r.reason) for r in verdict.results]
    text = table(("check", "kind", "result", "time", "reason"), rows)
    if verdict.passed:
        return Result(gate.summary(verdict), f"{text}\n\n{verdict.candidate[:12]} passes the gate")
    if not arguments.json:
        excerpts = [f"{found.check}: {found.reason}\n{found.excerpt}".rstrip() for found in verdict.findings]
        print("\n\n".join([text, *excerpts]))  # noqa: T201
    raise GateFailed(
        f"{verdict.candidate[:12]} does not pass the gate: {verdict.reason}", details=gate.summary(verdict)
    )


def _show(arguments: argparse.Namespace) -> Result:
    import pygit2

    from tapeout import gate
    from tapeout.base.git import ensure_bare

    hub = ensure_bare(here().paths.hub)
    try:
        commit = str(hub.revparse_single(arguments.commit).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise NotFound(f"{arguments.commit!r} is no commit of the hub") from error
    record = gate.read_evidence(hub, commit)
    if record is None:
        raise NotFound(f"{commit[:12]} has no evidence: it did not land through the gate")
    return Result(record, _text(record))


def _text(record: dict[str, Any]) -> str:
    rows = [
        (c["name"], "pass" if c["passed"] else "FAIL", f"{c['seconds']:.1f}s", c["log_digest"][:12], c["command"])
        for c in record["checks"]
    ]
    facts = [f"{name:10} {record[name]}" for name in ("candidate", "base", "tree", "issue", "attempt", "change", "run")]
    return "\n".join([*facts, "", table(("check", "result", "time", "log", "command"), rows)])
