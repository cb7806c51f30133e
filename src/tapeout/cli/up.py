"""`tapeout up`: run the floor in the foreground (or detached), with a live view, until stopped or idle."""

from __future__ import annotations

import argparse
import os
import sys
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.cli.commands import add_json
from tapeout.cli.context import Context, here, target_branch
from tapeout.cli.output import Result, duration, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tapeout.cli.commands import Describes
    from tapeout.config import Config
    from tapeout.floor.loop import FloorSettings
    from tapeout.floor.status import RunSummary
    from tapeout.tracker import Tracker

TITLE_WIDTH = 48
"""Longest title in the final table, in characters: what happened on the way needs room too."""

START_SECONDS = 15.0
"""How long `--detach` waits for the floor to run."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `up`."""
    parser.add_argument("--workers", type=int, metavar="N", help="how many at once; default: floor.workers, 8")
    parser.add_argument("--agent", metavar="NAME", help="default: floor.agent of tapeout.toml")
    parser.add_argument(
        "--budget-time", metavar="DURATION", help="end after this time, such as 90m; default: budget.time"
    )
    parser.add_argument(
        "--budget-tokens", metavar="N", help="end when agents have used so many; default: budget.tokens"
    )
    parser.add_argument(
        "--budget-cost", metavar="USD", help="end when agents have cost so much; default: budget.cost, 200"
    )
    parser.add_argument("--until-idle", action="store_true", help="end when nothing is left that agents could do")
    parser.add_argument("--detach", action="store_true", help="run in the background")
    parser.add_argument("--plain", action="store_true", help="a line an event instead of the live view")
    add_json(parser)
    parser.set_defaults(run=_up, for_people=True)


def _up(arguments: argparse.Namespace) -> Result:
    if arguments.workers is not None and not 1 <= arguments.workers <= 256:
        raise UsageError("--workers should be 1 to 256")
    given = given_limits(arguments.budget_time, arguments.budget_tokens, arguments.budget_cost)
    context = here()
    if arguments.detach:
        return _detach(context, arguments)
    view = "none" if arguments.json else "plain" if arguments.plain or not sys.stdout.isatty() else "live"
    done = run_floor(
        context,
        workers=arguments.workers,
        agent=arguments.agent,
        until_idle=arguments.until_idle,
        view=view,
        given=given,
    )
    return Result(run_data(done), run_text(done))


def given_limits(time_text: str | None, tokens: str | None, cost: str | None) -> dict[str, float]:
    """Limits of the run from the command line.

    Raises:
        UsageError: one of them is no duration, count or amount above nothing.
    """
    from pydantic import TypeAdapter, ValidationError

    from tapeout.config.budget import Count, Money
    from tapeout.config.values import Seconds

    given: dict[str, float] = {}
    for name, text, kind, what in (
        ("time", time_text, Seconds, 'a duration such as "90m"'),
        ("tokens", tokens, Count, "a number of tokens"),
        ("cost", cost, Money, "a number of US dollars"),
    ):
        if text is None:
            continue
        try:
            given[name] = TypeAdapter(kind).validate_strings(text.replace(",", "").replace("_", ""))
        except ValidationError:
            raise UsageError(f"--budget-{name} should be {what}, above 0") from None
    return given


class FloorRun(NamedTuple):
    """What a run of the floor came to."""

    summary: RunSummary
    seconds: float
    """Wall time."""
    unpublished: str | None
    """Why landed commits have not reached the user's branch or remote, if they have not."""
    over_budget: str | None
    """The budget of the run that ended it, if one did."""


def run_floor(
    context: Context,
    *,
    workers: int | None,
    agent: str | None,
    until_idle: bool,
    view: str,
    given: Mapping[str, float] = MappingProxyType({}),
) -> FloorRun:
    """Run a floor until it is stopped or idle.

    Args:
        view: `live`, `plain` (a line an event) or `none`.
        given: limits of the run, as from `given_limits`.

    Raises:
        Busy: a floor runs on this repository already.
        EnvironmentProblem: the repository, the agent or (at the end) the gate is not in order.
    """
    import anyio

    from tapeout.floor.budgets.run import WHOLE_RUN, reached_now
    from tapeout.floor.lock import FloorLock
    from tapeout.floor.loop import FloorSettings
    from tapeout.floor.sharing import share_claims
    from tapeout.floor.status import summarize
    from tapeout.tracker import Tracker

    branch = target_branch(context)
    started = time.time()
    with FloorLock(context.paths) as lock:
        config = _prepare(context, branch)
        usual = (agent,) if agent else config.floor.agents or (config.floor.agent,)
        missing = _missing_agents(config, usual)
        settings = FloorSettings(
            paths=context.paths,
            repository=context.repository,
            branch=branch,
            workers=workers or config.floor.workers,
            agents=usual,
            until_idle=until_idle,
            config=config,
            sync_seconds=config.tracker.sync,
            remote=config.tracker.remote or "",
            given=given,
            missing=missing,
        )
        with Tracker.open(context.paths, "floor") as tracker:
            share_claims(tracker, context.repository, config.tracker)
            newest = tracker.events(limit=1)
        lock.describe(settings.workers, ", ".join(one for one in usual if one not in missing))
        anyio.run(_run, settings, view)
        with Tracker.open(context.paths, "floor") as tracker:
            unpublished = _publish(context, config, tracker)
            summary = summarize(tracker, started, newest[-1].sequence if newest else 0)
            stopped = tracker.queue_stopped()
            over = reached_now(tracker).get(WHOLE_RUN)
    if stopped and until_idle:
        raise EnvironmentProblem(f"the queue stopped: {stopped}", hint="mend that and run `tapeout up` again")
    return FloorRun(summary, time.time() - started, unpublished, over.text if over is not None else None)


async def _run(settings: FloorSettings, view: str) -> None:
    import anyio

    from tapeout.cli import view as views
    from tapeout.floor.loop import open_floor

    async with open_floor(settings) as floor, anyio.create_task_group() as tasks:
        tasks.start_soon(views.show, view, settings.paths)
        await floor.run()
        tasks.cancel_scope.cancel()


def _prepare(context: Context, branch: str) -> Config:
    """Bring the user's branch into the hub, and read its configuration."""
    from tapeout import gate
    from tapeout.base.git import open_bare

    commit = gate.prepare_hub(context.paths, context.repository, branch)
    return gate.load_config(open_bare(context.paths.hub), commit)


def _missing_agents(config: Config, usual: Sequence[str]) -> frozenset[str]:
    """The agents of the floor and its lanes that are not installed; in each chain at least one has to be."""
    from tapeout import agents

    missing: set[str] = set()
    for chain in [tuple(usual), *(lane.agents for lane in config.lane.values() if lane.agents)]:
        lacking = [spec for spec in (agents.resolve(name, config) for name in chain) if not agents.installed(spec)]
        if len(lacking) == len(chain):
            spec = lacking[0]
            raise EnvironmentProblem(
                f"the agent {spec.name} is not installed: there is no program {spec.command[0]}",
                hint=f"install it: {spec.install}" if spec.install else "`tapeout agents` shows what is installed",
            )
        missing |= {spec.name for spec in lacking}
    return frozenset(missing)


def _publish(context: Context, config: Config, tracker: Tracker) -> str | None:
    """Publish what the gate could not publish as it landed; why that was not possible, if it was not."""
    from tapeout import gate

    done = gate.publish(context.paths, context.repository, config, tracker, quiet=True)
    return done.reason if isinstance(done, gate.Skipped) else None


def _detach(context: Context, arguments: argparse.Namespace) -> Result:
    """Start the same command in a session of its own, its output in a log, and wait until it runs."""
    import subprocess

    from tapeout.floor.lock import current_floor

    os.makedirs(context.paths.logs, exist_ok=True)
    log = os.path.join(context.paths.logs, "floor.log")
    words = ["up", "--plain"]
    words += ["--workers", str(arguments.workers)] if arguments.workers else []
    words += ["--agent", arguments.agent] if arguments.agent else []
    words += ["--until-idle"] if arguments.until_idle else []
    for name in ("time", "tokens", "cost"):
        limit = getattr(arguments, f"budget_{name}")
        words += [f"--budget-{name}", limit] if limit is not None else []
    with open(log, "ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tapeout", *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        holder = current_floor(context.paths)
        if holder is not None and holder.pid == process.pid and holder.workers:
            text = f"the floor runs: process {holder.pid}, {holder.workers} workers, agent {holder.agent}; log {log}"
            return Result({"pid": holder.pid, "log": log}, text)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    with open(log, encoding="utf-8", errors="replace") as file:
        file.seek(start)
        said = file.read().strip().splitlines()
    raise EnvironmentProblem(said[-1].removeprefix("tapeout: ") if said else f"the floor did not start: see {log}")


def run_data(done: FloorRun) -> dict[str, object]:
    """The JSON form of a run."""
    from dataclasses import asdict

    summary = asdict(done.summary)
    figures = {"first_pass_yield": done.summary.first_pass_yield, "seconds": round(done.seconds, 2)}
    return {**summary, **figures, "unpublished": done.unpublished, "over_budget": done.over_budget}


def run_text(done: FloorRun) -> str:
    """The final table, for people."""
    text = _summary_text(done.summary, done.seconds)
    if done.over_budget:
        text += f"\nended: {done.over_budget}; what was under way is kept, and goes on at the next `tapeout up`"
    return f"{text}\nnot published: {done.unpublished}" if done.unpublished else text


def _short(title: str) -> str:
    return title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 1]}…"


def _summary_text(summary: RunSummary, seconds: float) -> str:
    if not summary.outcomes:
        return f"nothing was decided in {duration(seconds)}"
    rows = [(o.issue, o.result, o.attempts, o.rounds, _short(o.title), o.note) for o in summary.outcomes]
    yielded = summary.first_pass_yield
    refined = summary.landed - summary.first_pass
    lines = [
        table(("issue", "result", "attempts", "prompts", "title", "on the way"), rows),
        "",
        f"{summary.landed} landed ({summary.first_pass} at first pass, {refined} after refinement or a fresh start), "
        f"{summary.given_up} given up",
        f"first-pass yield {yielded:.0%}, wall time {seconds:.1f} s" if yielded is not None else "",
    ]
    return "\n".join(lines).rstrip()
