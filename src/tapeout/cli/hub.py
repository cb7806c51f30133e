"""`tapeout hub`: where the hub is and how to push to it; accepting a main that was moved by hand."""

from __future__ import annotations

import argparse
import shlex

from tapeout.base.errors import Conflict
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import here, refuse_agents, target_branch
from tapeout.cli.gate_evidence import NOT_IN_THE_HUB
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import pygit2

    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `hub`."""
    parser.add_argument(
        "--accept", metavar="COMMIT", help="the hub's branch was moved past the gate to this commit, and that is right"
    )
    add_json(parser)
    parser.set_defaults(run=_hub)


def _hub(arguments: argparse.Namespace) -> Result:
    from tapeout import gate
    from tapeout.base.git import ensure_bare

    context = here()
    if arguments.accept:
        refuse_agents()
        return _accept(ensure_bare(context.paths.hub), arguments.accept)
    branch = target_branch(context)
    main = gate.prepare_hub(context.paths, context.repository, branch)
    ref = f"refs/for/{branch}"
    push = f"git push {shlex.quote(context.paths.hub)} HEAD:{ref}"
    data = {"path": context.paths.hub, "branch": branch, "commit": main, "ref": ref, "push": push}
    text = "\n".join(
        [
            f"hub     {context.paths.hub}",
            f"branch  {branch} at {main[:12]}",
            f"push    {push}",
            "        with `-o issue=ID` for an issue that there is; else one is filed",
        ]
    )
    return Result(data, text)


def _accept(hub: pygit2.Repository, revision: str) -> Result:
    from tapeout.base.git import commit_named, resolve
    from tapeout.gate.evidence.audit import accept
    from tapeout.gate.hub import hub_branch

    branch = hub_branch(hub)
    main = resolve(hub, f"refs/heads/{branch}")
    commit = commit_named(hub, revision, "the hub", hint=NOT_IN_THE_HUB)
    if commit != main:
        raise Conflict(f"{branch} of the hub is at {(main or 'nothing')[:12]}, not at {commit[:12]}")
    accept(hub, branch, commit)
    return Result({"branch": branch, "commit": commit}, f"accepted: {branch} of the hub is {commit[:12]}")
