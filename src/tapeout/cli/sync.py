"""`tapeout sync`: exchange issues with other clones through a git remote or a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tapeout.base.errors import UsageError
from tapeout.cli.commands import add_json
from tapeout.cli.context import Context, here, open_tracker
from tapeout.cli.output import Result, counted

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes
    from tapeout.config import TrackerConfig
    from tapeout.tracker.sharing.sync import SyncReport


def add_arguments(parser: Describes) -> None:
    """Arguments of `sync`."""
    parser.add_argument(
        "remote", nargs="?", help="a remote's name, a URL or a bundle file; default: tracker.remote, origin"
    )
    parser.add_argument("--bundle", metavar="FILE", help="write all issues to a file that another clone can sync from")
    parser.add_argument(
        "--repair", action="store_true", help="replace damaged or rewritten logs on the remote by what is known here"
    )
    add_json(parser)
    parser.set_defaults(run=_sync)


def _sync(arguments: argparse.Namespace) -> Result:
    from tapeout.floor.sharing import share_claims
    from tapeout.tracker.sharing.remote import Remote, default_remote
    from tapeout.tracker.sharing.sync import write_bundle

    context = here()
    if arguments.bundle is not None:
        if arguments.remote is not None or arguments.repair:
            raise UsageError("--bundle goes with no remote and no --repair")
        with open_tracker() as tracker:
            count = write_bundle(tracker, arguments.bundle)
        return Result({"bundle": arguments.bundle, "logs": count}, f"{arguments.bundle}  {counted(count, 'log')}")
    config = _config(context)
    named = arguments.remote or config.remote or default_remote(context.repository)
    remote = Remote(context.paths, context.repository, named)
    with open_tracker() as tracker:
        share_claims(tracker, context.repository, config)
        report = tracker.sync(remote, repair=arguments.repair)
    return Result(as_data(report), _text(report))


def _config(context: Context) -> TrackerConfig:
    """What `tapeout.toml` says of the tracker; the usual, if there is no such file."""
    import os

    from tapeout.config import CONFIG_FILE, TrackerConfig, parse_config

    path = os.path.join(context.repository.root, CONFIG_FILE)
    if not os.path.exists(path):
        return TrackerConfig()
    with open(path, encoding="utf-8", errors="replace") as file:
        return parse_config(file.read()).tracker


def as_data(report: SyncReport) -> dict[str, object]:
    """The JSON form of a report."""
    return {
        name: [one._asdict() if hasattr(one, "_asdict") else one for one in value]
        if isinstance(value, tuple)
        else value
        for name, value in report._asdict().items()
    }


def _text(report: SyncReport) -> str:
    lines = [f"{report.remote}: {counted(report.received, 'operation')} received, {counted(report.sent, 'log')} sent"]
    lines += [f"{c.issue}  {c.field}: kept what {c.kept} set, not what {c.lost} set" for c in report.conflicts]
    lines += [f"{issue}  your claim was lost to an earlier one" for issue in report.lost_claims]
    lines += [f"{d.issue}  waits for {d.target} in a circle: this dependency is ignored" for d in report.circles]
    lines += [f"{' -> '.join(circle)}: these issues are each other's parents" for circle in report.parent_circles]
    lines += [f"log {q.replica} on the remote was put aside: {q.reason}" for q in report.quarantined]
    if report.quarantined:
        lines.append("`tapeout sync --repair` replaces such logs by what is known of them here")
    lines += [f"log {q.replica} was not taken by the remote: {q.reason}" for q in report.refused]
    return "\n".join(lines)
