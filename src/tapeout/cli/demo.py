"""`tapeout demo`: the whole line at work, without a key or a model."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.output import Result

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `demo`."""
    parser.add_argument("--keep", metavar="DIR", help="where to put the project; default: a new temporary folder")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="default 8")
    parser.add_argument("--plain", action="store_true", help="a line an event instead of the live view")
    add_json(parser)
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> Result:
    from tapeout import demo
    from tapeout.base.paths import find_repository, state_paths
    from tapeout.cli.context import Context
    from tapeout.cli.issue_new import file_issues
    from tapeout.cli.up import run_data, run_floor, run_text
    from tapeout.tracker import Tracker

    if not 1 <= arguments.workers <= 256:
        raise UsageError("--workers should be 1 to 256")
    folder = os.path.abspath(arguments.keep or os.path.join(tempfile.mkdtemp(prefix="tapeout-demo-"), "ledgerline"))
    demo.make_repository(folder)
    # The sample's checks call `python3`: let them find the one that runs this, whatever the machine calls it.
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
    repository = find_repository(folder)
    context = Context(repository, state_paths(repository))
    with Tracker.open(context.paths, "demo") as tracker:
        issues = file_issues(tracker, demo.ISSUES)
    view = "none" if arguments.json else "plain" if arguments.plain or not sys.stdout.isatty() else "live"
    if not arguments.json:
        print(f"{len(issues)} issues, {arguments.workers} workers, the scripted agent; project in {folder}\n")  # noqa: T201
    done = run_floor(context, workers=arguments.workers, agent="scripted", until_idle=True, view=view)
    text = f"{run_text(done)}\n\n{_look(folder)}"
    return Result({"folder": folder, **run_data(done)}, text)


def _look(folder: str) -> str:
    program = sys.argv[0] if os.path.isabs(sys.argv[0]) else "tapeout"
    return "\n".join(
        [
            f"Look around:  cd {folder}",
            "  git log --graph --oneline          what landed, each commit through the gate",
            f"  {program} gate show HEAD      the evidence with which the last one landed",
            f"  {program} issue list --needs-person",
            f"  {program} issue show ID       an issue's attempts and the report for a person",
            f"  {program} replay ID           what its worker's terminal showed",
        ]
    )
