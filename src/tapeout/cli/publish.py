"""`tapeout publish`: bring landed commits from the hub to where people see them."""

from __future__ import annotations

import argparse

from tapeout.base.errors import NotAllowed
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `publish`."""
    add_json(parser)
    parser.set_defaults(run=_publish, for_people=True)


def _publish(arguments: argparse.Namespace) -> Result:
    from tapeout import gate
    from tapeout.base.git import ensure_bare, resolve
    from tapeout.tracker import Tracker

    context = here()
    hub = ensure_bare(context.paths.hub)
    commit = resolve(hub, f"refs/heads/{gate.hub_branch(hub)}")
    if commit is None:
        raise NotAllowed("nothing has landed yet", hint="`tapeout up` makes agents work")
    with Tracker.open(context.paths, actor()) as tracker:
        done = gate.publish(context.paths, context.repository, gate.load_config(hub, commit), tracker, anew=True)
    if isinstance(done, gate.Skipped):
        raise NotAllowed(f"not published: {done.reason}")
    if done is None:
        return Result({"published": None}, 'project.publish is "none": landed commits stay in the hub')
    where = f": {done.pull_request}" if done.pull_request else ""
    return Result({"published": done.commit}, f"published up to {done.commit[:12]}{where}")
