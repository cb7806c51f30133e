"""`tapeout plan`: an agent proposes issues for a goal; they are filed when a person says so."""

from __future__ import annotations

import os
import sys

from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, read_text
from tapeout.cli.context import Context, actor, here, target_branch
from tapeout.cli.output import Result, counted, one_line, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.config import Config
    from tapeout.floor.planning.plans import Plan
    from tapeout.tracker import Tracker
    from tapeout.tracker.fields import Draft


def add_arguments(parser: Describes) -> None:
    """Arguments of `plan`."""
    parser.add_argument("goal", nargs="?", metavar="GOAL", help="what is wanted; - is stdin, @FILE a file")
    parser.add_argument("--agent", metavar="NAME", help="who plans; default: floor.agent of tapeout.toml")
    parser.add_argument("--apply", metavar="FILE", help="file the issues of a plan that was made before")
    add_json(parser)
    parser.set_defaults(run=_plan, for_people=True)


def _plan(arguments: argparse.Namespace) -> Result:
    if (arguments.goal is None) == (arguments.apply is None):
        raise UsageError("say what the goal is, or --apply FILE", hint="`tapeout plan --help` shows how to use it")
    if arguments.apply is not None and arguments.agent is not None:
        raise UsageError("--apply needs no agent")
    from tapeout.floor.planning import plans
    from tapeout.tracker import Tracker

    context = here()
    with Tracker.open(context.paths, actor()) as tracker:
        if arguments.apply is not None:
            plan = plans.load(tracker, arguments.apply)
            return _filed(context, tracker, plan)
        plan = _propose(context, tracker, _goal(arguments.goal), arguments.agent)
        if not arguments.json and _approved(plan):
            return _filed(context, tracker, plan)
    text = f"{_shown(plan.drafts)}\n\nnothing is filed yet; file it with: tapeout plan --apply {plan.file}"
    return Result(_data(plan, []), text)


def _goal(given: str) -> str:
    goal = read_text(given).strip()
    if not goal:
        raise UsageError("the goal is empty")
    return goal


def _propose(context: Context, tracker: Tracker, goal: str, agent: str | None) -> Plan:
    import anyio

    from tapeout import gate
    from tapeout.base.git import open_bare
    from tapeout.cli.digest import digest_of
    from tapeout.floor.planning import plans, session
    from tapeout.floor.planning.prompts import PLAN_FILE, planner_prompt

    branch = target_branch(context)
    base = gate.prepare_hub(context.paths, context.repository, branch)
    config = gate.load_config(open_bare(context.paths.hub), base)
    request = session.PlanRequest(
        paths=context.paths,
        repository=context.repository,
        config=config,
        base=base,
        agent=_installed(agent or config.floor.agent, config),
        prompt=planner_prompt(goal, digest_of(context).text, branch, list(config.lane)),
        check=lambda content: plans.checked(tracker, content, PLAN_FILE),
    )
    try:
        identity, content = anyio.run(session.propose, request)
    except session.Refused as error:
        if error.content is not None:
            file = plans.keep(context.paths, "last", error.content, refused=True)
            error.hint = f"what it wrote is in {file}; nothing was filed"
        raise
    return plans.load(tracker, plans.keep(context.paths, identity, content))


def _installed(agent: str, config: Config) -> str:
    from tapeout import agents

    spec = agents.resolve(agent, config)
    if not agents.installed(spec):
        raise EnvironmentProblem(
            f"the agent {spec.name} is not installed: there is no program {spec.command[0]}",
            hint=f"install it: {spec.install}" if spec.install else "`tapeout agents` shows what is installed",
        )
    return agent


def _approved(plan: Plan) -> bool:
    """Whether a person at a terminal says yes, having seen the plan."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        return False
    sys.stdout.write(printable(_shown(plan.drafts)) + "\n\n")
    try:
        answer = input(f"File {counted(len(plan.drafts), 'issue')}? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _filed(context: Context, tracker: Tracker, plan: Plan) -> Result:
    from tapeout.floor.planning import plans

    issues = plans.file_issues(context.paths, tracker, plan.file)
    lines = [f"{issue.id}  {issue.title}" for issue in issues]
    lines.append(f"filed {counted(len(issues), 'issue')}; `tapeout issue undo` takes them back")
    return Result(_data(plan, [issue.id for issue in issues]), "\n".join(lines))


def _data(plan: Plan, filed: Sequence[str]) -> dict[str, Any]:
    issues = [draft._asdict() for draft in plan.drafts]
    return {"file": os.path.abspath(plan.file), "issues": issues, "filed": list(filed)}


def _shown(drafts: Sequence[Draft]) -> str:
    return "\n\n".join(_one(number, draft) for number, draft in enumerate(drafts, start=1))


def _one(number: int, draft: Draft) -> str:
    facts = [draft.type, f"priority {draft.priority}", *(f"#{label}" for label in draft.labels)]
    named = f" ({draft.name})" if draft.name else ""
    lines = [f"{number}. {one_line(draft.title)}{named}", f"   {', '.join(facts)}"]
    for title, values in (("waits for", draft.depends_on), ("part of", [draft.parent] if draft.parent else []),
                          ("touches", draft.scope)):  # fmt: skip
        if values:
            lines.append(f"   {title} {', '.join(one_line(str(value)) for value in values)}")
    lines += [f"   {line}" for line in draft.body.split("\n")]
    lines += ["   done when:", *(f"   {line}" for line in draft.acceptance.split("\n"))]
    return "\n".join(lines)
