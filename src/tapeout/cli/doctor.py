"""`tapeout doctor`: is the state directory sound; the index can always be made again from git."""

from __future__ import annotations

import argparse
import os

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result, counted

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `doctor`."""
    parser.add_argument("--rebuild", action="store_true", help="make the tracker's index again from the log in git")
    add_json(parser)
    parser.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> Result:
    from tapeout.base import sandbox
    from tapeout.tracker import Tracker, gitlog, rebuild

    context = here()
    if arguments.rebuild:
        from tapeout.floor.lock import FloorLock

        with FloorLock(context.paths):
            count = rebuild.rebuild(context.paths)
        return Result({"operations": count}, f"the index was made again from {counted(count, 'operation')}")
    with Tracker.open(context.paths, actor()) as tracker:
        tracker.check()
        counts = tracker.counts()
        unflushed = tracker.has_outbox()
        circles, parents = tracker.circles(), tracker.parent_circles()
    sandboxes = [found if isinstance(found, str) else found.description for found in sandbox.available()]
    usable = sandbox.detect()
    quarantined = gitlog.replicas(context.paths, gitlog.QUARANTINE_REFS)
    data = {
        "state": context.paths.root,
        "hub": os.path.isdir(context.paths.hub),
        "unflushed": unflushed,
        "circles": [dependency._asdict() for dependency, _ in circles],
        "parent_circles": parents,
        "quarantined": quarantined,
        "sandbox": None if isinstance(usable, sandbox.Absence) else usable.description,
        "sandboxes": sandboxes,
    }
    lines = [
        f"state directory {context.paths.root}",
        f"{counts.open} open, {counts.closed} closed issues; index sound",
        *(
            f"{one.issue} and {one.target} wait for each other over {' -> '.join(way)}: the dependency of {one.issue}"
            f" on {one.target} is ignored; remove one with `tapeout issue dep remove`"
            for one, way in circles
        ),
        *(f"{' -> '.join(circle)}: these issues are each other's parents" for circle in parents),
        "sandbox: none, so agents and checks run with your rights"
        if isinstance(usable, sandbox.Absence)
        else f"sandbox: {usable.description}",
        *(f"  tried: {found}" for found in sandboxes),
        *(f"the log of {name} that came from a remote was put aside: `tapeout sync` says why" for name in quarantined),
    ]
    return Result({**data, **counts._asdict()}, "\n".join(lines))
