"""`tapeout prompt`: exactly what the next worker on an issue will be told, and what had no room."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json
from tapeout.cli.context import Context, actor, here, target_branch
from tapeout.cli.output import Result, table

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.config import Config
    from tapeout.floor.prompting import CompiledPrompt


def add_arguments(parser: Describes) -> None:
    """Arguments of `prompt`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("--parts", action="store_true", help="only how long each part is, and what was left out")
    add_json(parser)
    parser.set_defaults(run=_prompt)


def _prompt(arguments: argparse.Namespace) -> Result:
    from tapeout.floor.prompting import first_prompt, read_assignment
    from tapeout.tracker import Tracker

    context = here()
    branch = target_branch(context)
    config = _config(context, branch)
    with Tracker.open(context.paths, actor()) as tracker:
        work = read_assignment(tracker, config, branch, arguments.issue)
    prompt = first_prompt(work, config.prompt)
    data = {"issue": work.issue.id, "attempt": work.number, **prompt.as_data()}
    return Result(data, _parts(prompt) if arguments.parts else prompt.text.rstrip("\n"))


def _config(context: Context, branch: str) -> Config:
    """What workers read: the hub's target branch; before there is a hub, the user's own."""
    import pygit2

    from tapeout import gate
    from tapeout.base.git import resolve

    for folder in (context.paths.hub, context.repository.git_dir):
        try:
            repository = pygit2.Repository(folder)
        except pygit2.GitError:
            continue
        commit = resolve(repository, f"refs/heads/{branch}")
        if commit is not None:
            return gate.load_config(repository, commit)
    user = pygit2.Repository(context.repository.root)
    return gate.load_config(user, str(user.head.target))


def _parts(prompt: CompiledPrompt) -> str:
    rows = [
        (part.name, part.tokens, part.budget or "-", part.left_out or "-", part.more if part.left_out else "")
        for part in prompt.parts
    ]
    rows.append(("all", prompt.tokens, prompt.budget, sum(part.left_out for part in prompt.parts) or "-", ""))
    return table(("part", "tokens", "budget", "left out", "the whole"), rows)
