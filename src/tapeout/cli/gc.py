"""`tapeout gc`: pack the repositories of the state directory, tidy the index, and remove logs of checks that are older
than `gate.keep_logs` and the checkouts of gate runs that were killed. Nothing else is dropped."""

from __future__ import annotations

import argparse
import os

from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.paths import StatePaths
from tapeout.cli.commands import add_json
from tapeout.cli.context import here, open_tracker
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes


def add_arguments(parser: Describes) -> None:
    """Arguments of `gc`."""
    add_json(parser)
    parser.set_defaults(run=_gc, for_people=True)


def _gc(arguments: argparse.Namespace) -> Result:
    from tapeout.base.packing import pack_whole
    from tapeout.gate.runs import sweep

    paths = here().paths
    before = _sizes(paths)
    with open_tracker() as tracker:
        tracker.check()
        tracker.tidy()
    _remove_old_logs(paths)
    sweep(paths)
    packed = {
        os.path.basename(path): pack_whole(path) for path in (paths.tracker_git, paths.hub) if os.path.exists(path)
    }
    after = _sizes(paths)
    kept = {name for name, done in packed.items() if not done}
    cells = [
        (name, _megabytes(before.get(name, 0)), _megabytes(size), "in use, left as it is" if name in kept else "")
        for name, size in after.items()
    ]
    data = [
        {"name": name, "before": before.get(name, 0), "after": after[name], "in_use": name in kept} for name in after
    ]
    return Result(data, table(("what", "before", "after", ""), cells))


def _remove_old_logs(paths: StatePaths) -> None:
    """As the target branch's `tapeout.toml` says, if there is one."""
    import time

    from tapeout import gate
    from tapeout.base.errors import UsageError
    from tapeout.base.git import open_bare, resolve
    from tapeout.gate.evidence.retention import remove_old_logs

    hub = open_bare(paths.hub) if os.path.exists(paths.hub) else None
    main = resolve(hub, f"refs/heads/{gate.hub_branch(hub)}") if hub is not None else None
    if hub is None or main is None:
        return
    try:
        keep = gate.load_config(hub, main).gate.keep_logs
    except UsageError:
        return  # `tapeout up` says what is wrong with it
    if keep is not None:
        remove_old_logs(paths, time.time() - keep)


def _sizes(paths: StatePaths) -> dict[str, int]:
    """Bytes on the disk of what is kept: the index and the repositories."""
    index = sum(_size(paths.tracker_db + ending) for ending in ("", "-wal"))
    return {"tracker.db": index} | {
        os.path.basename(path): _tree_size(path)
        for path in (paths.tracker_git, paths.hub, paths.evidence)
        if os.path.exists(path)
    }


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0


def _tree_size(folder: str) -> int:
    return sum(_size(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
