"""`tapeout init`: write `tapeout.toml` with the checks that the repository already has."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tapeout.base.errors import EnvironmentProblem, NotAllowed
from tapeout.cli.commands import add_json
from tapeout.cli.context import actor, here
from tapeout.cli.output import Result

if TYPE_CHECKING:
    from tapeout.cli.commands import Describes
    from tapeout.config import CheckConfig


def add_arguments(parser: Describes) -> None:
    """Arguments of `init`."""
    parser.add_argument("--agent", default="claude", metavar="NAME", help="the agent that works by default")
    parser.add_argument("--force", action="store_true", help="replace an existing tapeout.toml")
    parser.add_argument(
        "--try", dest="try_", action="store_true", help="run what is found on HEAD, and leave out what is red there"
    )
    add_json(parser)
    parser.set_defaults(run=_init, for_people=True)


def _init(arguments: argparse.Namespace) -> Result:
    from tapeout import agents
    from tapeout.config import CONFIG_FILE, parse_config
    from tapeout.gate.discover import discover
    from tapeout.tracker import Tracker

    context = here()
    root, git_dir = context.repository
    if root == git_dir:
        raise EnvironmentProblem(f"{root} is a bare repository", hint="run `tapeout init` in a clone and push the file")
    path = os.path.join(root, CONFIG_FILE)
    if os.path.exists(path) and not arguments.force:
        raise NotAllowed(f"{path} exists", hint="edit it, or replace it with --force")
    checks = discover(_files(root), frozenset(os.listdir(root)))
    red = _tried(checks) if arguments.try_ else {}
    text = _text(_branch(root), arguments.agent, checks, red)
    checks = [check for check in checks if check.name not in red]
    config = parse_config(text if checks else f"{text}[[check]]\nname = 'none'\nrun = 'false'\n")
    agents.resolve(arguments.agent, config)  # what we write is always valid, but for a check where none was found
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    Tracker.open(context.paths, actor()).close()
    data = {"file": path, "checks": [check.name for check in checks], "red": red}
    return Result(data, _say(path, [check.name for check in checks], red))


def _tried(checks: Sequence[CheckConfig]) -> dict[str, str]:
    """Those of the checks that are not green on the last commit, and why."""
    from tapeout.gate import try_checks

    context = here()
    return {name: why for name, why in try_checks(context.paths, context.repository, checks).items() if why}


def _text(branch: str, agent: str, checks: Sequence[CheckConfig], red: dict[str, str]) -> str:
    lines = [
        "# What Tapeout asks of this repository. The file on the target branch is the one that counts.",
        "# All fields: docs/reference/configuration.md of Tapeout",
        "",
        "[project]",
        f"branch = {_quoted(branch)}",
        "",
        *_usual(),
        "[floor]",
        f"agent = {_quoted(agent)}",
        "workers = 8",
    ]
    for check in checks:
        lines += ["", *_table(check, red.get(check.name))]
    return "\n".join([*lines, *([] if len(red) < len(checks) else _EXAMPLE)]) + "\n"


def _usual() -> list[str]:
    """What holds without a word in the file, and somebody would want to know."""
    from tapeout.config import FloorBudget, FloorConfig, IssueBudget

    return [
        f"# Agents work in a sandbox that hides your home, with the network open ([sandbox]). A session hands over when"
        f" {FloorConfig().context_limit:.0%} of its",
        f"# context is full (floor.context_limit). An issue may cost ${IssueBudget().cost:g}, a run"
        f" ${FloorBudget().cost:g} ([budget]).",
    ]


def _table(check: CheckConfig, red: str | None) -> list[str]:
    """The table of a check; a comment if it is red."""
    lines = ["[[check]]", f"name = {_quoted(check.name)}", f"kind = {_quoted(check.kind)}"]
    if check.run is not None:
        lines += [f"run = {_quoted(str(check.run))}", f'timeout = "{check.timeout / 60:.0f}m"']
    if check.network:
        lines.append("network = true")
    if red is None:
        return lines
    reason = "".join(c if c.isprintable() else " " for c in red)
    return [f"# Red on the code as it is: {reason}", *(f"# {line}" for line in lines)]


def _quoted(text: str) -> str:
    """A string of TOML: as in JSON, but that characters beyond 16 bits stand as they are."""
    return json.dumps(text, ensure_ascii=False)


_EXAMPLE = [
    "",
    "# No check was found here. At least one is needed: a command that fails when the code is not good.",
    "# [[check]]",
    '# name = "tests"',
    '# kind = "test"',
    '# run = "make test"',
]


def _say(path: str, checks: list[str], red: dict[str, str]) -> str:
    found = f"with the checks {', '.join(checks)}" if checks else "without a check: none was found, add one"
    return "\n".join(
        [
            f"wrote {path} {found}",
            *(f"left out: {name}: {why}" for name, why in red.items()),
            *([] if checks else [f"next:  add a check to {path}: docs/how-to/write-checks.md of Tapeout tells how"]),
            f"{'next:' if checks else '     '}  git add tapeout.toml && git commit -m 'Add tapeout.toml'",
            "       tapeout gate run               is main green in a clean checkout?",
            "       tapeout issue new 'TITLE'      what should be done?",
            "       tapeout up                     let agents work",
            "       tapeout hub                    how to push a commit of your own to the gate",
        ]
    )


def _files(root: str) -> dict[str, str]:
    """Path to content of what discovery reads."""
    from tapeout.gate.discover import FILES, WORKFLOWS

    names = list(FILES)
    with contextlib.suppress(OSError):
        workflows = sorted(os.listdir(os.path.join(root, WORKFLOWS)))
        names += [f"{WORKFLOWS}/{name}" for name in workflows if name.endswith((".yml", ".yaml"))]
    return {name: _read(os.path.join(root, name)) for name in names if os.path.isfile(os.path.join(root, name))}


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _branch(root: str) -> str:
    """The branch that is checked out here, or `main`."""
    import pygit2

    try:
        target = pygit2.Repository(root).references["HEAD"].raw_target
    except (pygit2.GitError, KeyError) as error:
        raise EnvironmentProblem(f"cannot read the repository {root}: {error}") from error
    name = target.decode(errors="replace") if isinstance(target, bytes) else ""
    return name.removeprefix("refs/heads/") or "main"
