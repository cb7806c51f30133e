"""What `tapeout up` shows while it runs: a live table on a terminal, else a line an event."""

import sys
from typing import TYPE_CHECKING

from tapeout.base.moments import clock
from tapeout.base.paths import StatePaths
from tapeout.cli.output import counted, discard, duration, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tapeout.floor.status import Status, WorkerRow
    from tapeout.tracker import Tracker
    from tapeout.tracker.model import Event

REFRESH_SECONDS = 0.25
"""The live view is drawn at most this often."""


async def show(kind: str, paths: StatePaths) -> None:
    """Show what happens until cancelled; `kind` is `live`, `plain` or `none`.

    Ends when the output is closed or full: the floor goes on with nobody watching.
    """
    if kind == "none":
        return
    from tapeout.tracker import Tracker

    with Tracker.open(paths, "view") as tracker:
        try:
            await (_live(tracker, paths) if kind == "live" else _plain(tracker, paths))
        except OSError:
            discard()  # what the stream still holds would fail every later flush, that before a fork too


async def _plain(tracker: "Tracker", paths: StatePaths) -> None:
    import anyio

    from tapeout.tracker.doorbell import Doorbell

    seen = max((event.sequence for event in tracker.events(limit=1)), default=0)
    with Doorbell(paths.bells) as bell:
        try:
            while True:
                seen = _print_events(tracker, seen)
                await anyio.wait_readable(bell)
                bell.clear()
        finally:
            _print_events(tracker, seen)


def _print_events(tracker: "Tracker", after: int) -> int:
    from tapeout.cli.events import describe

    for event in tracker.events(after=after):
        after = event.sequence
        line = describe(event)
        if line:
            sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()
    return after


async def _live(tracker: "Tracker", paths: StatePaths) -> None:
    import anyio
    from rich.console import Console
    from rich.live import Live

    from tapeout.floor.status import read_status
    from tapeout.tracker.doorbell import Doorbell

    recent: list[Event] = []
    seen = max((event.sequence for event in tracker.events(limit=1)), default=0)
    with Doorbell(paths.bells) as bell, Live(console=Console(), auto_refresh=False, transient=True) as live:
        while True:
            bell.clear()
            fresh = tracker.events(after=seen)
            seen = fresh[-1].sequence if fresh else seen
            recent = [*recent, *fresh][-200:]
            live.update(_screen(read_status(tracker, paths), recent), refresh=True)
            await anyio.sleep(REFRESH_SECONDS)
            with anyio.move_on_after(1.0):  # ages count on even when nothing happens
                await anyio.wait_readable(bell)


def _screen(status: "Status", events: "list[Event]") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from tapeout.cli.events import describe

    workers = Table(box=None, pad_edge=False, expand=True)
    for title, ratio in (("issue", 3), ("attempt", None), ("time", None), ("context", None), ("doing", 4)):
        workers.add_column(title, ratio=ratio, no_wrap=True, overflow="ellipsis", header_style="dim")
    for row in status.workers:
        workers.add_row(
            Text(row.title),
            f"{row.number}.{row.rounds}",
            duration(row.seconds),
            context_share(row),
            Text(
                f"{state_text(row)}: {row.activity}" if row.activity else state_text(row),
                style=_STYLES.get(row.state, ""),
            ),
        )
    counts, queue = status.counts, len(status.queue)
    head = Text(
        f"{counts.landed} landed · {len(status.workers)} working · {queue} in the queue · {counts.ready} ready · "
        f"{counts.blocked} blocked · {counts.needs_person} need a person",
        style="bold",
    )
    lines = [line for line in (describe(event) for event in events) if line][-6:]
    foot = Text("\n".join(printable(line) for line in lines), style="dim", no_wrap=True, overflow="ellipsis")
    if status.floor_paused:
        head.append(f" · PAUSED by {status.floor_paused}", style="yellow")
    if status.questions:
        head.append(f" · {counted(len(status.questions), 'question')}", style="yellow")
    stopped = [Text(f"the queue is stopped: {status.queue_stopped}", style="bold red")] if status.queue_stopped else []
    held = [Text(line, style="yellow") for line in held_back(status)]
    return Group(head, workers, *stopped, *held, foot)


_STYLES = {
    "waiting": "yellow", "paused": "yellow", "stalled": "red", "spiralling": "red", "over budget": "red", "dead": "red",
}  # fmt: skip


def held_back(status: "Status") -> list[str]:
    """Why attempts are not started though issues are ready."""
    lines = [f"over budget: {text}" for text in status.over_budget]
    for pause in status.paused:
        until = f"until {clock(pause.until)}" if pause.until is not None else "until you act; `tapeout up` tries again"
        lines.append(printable(f"{pause.provider} is paused {until}: {pause.reason}"))
    return lines


def state_text(row: "WorkerRow") -> str:
    """How a worker is, for people."""
    return f"{row.state} for {row.waits_for}" if row.state == "waiting" and row.waits_for else row.state


def context_share(row: "WorkerRow") -> str:
    """How full an agent's context is and may get, for people; `~` marks an estimate."""
    limit = f"/{row.context_limit:.0%}" if row.context_limit is not None else ""
    if row.tokens_used is None or not row.tokens_window:
        return f"-{limit}"
    return f"{'~' if row.tokens_estimated else ''}{row.tokens_used / row.tokens_window:.0%}{limit}"
