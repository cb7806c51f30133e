"""`tapeout init`: write `tapeout.toml` with the checks that the repository already has."""

import argparse
import json
import os

from tapeout.base.errors import NotAllowed
from tapeout.cli.context import Context, actor, here
from tapeout.cli.output import Result
from tapeout.cli.parser import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `init`."""
    parser.add_argument("--agent", default="claude", metavar="NAME", help="the agent that works by default")
    parser.add_argument("--force", action="store_true", help="replace an existing tapeout.toml")
    add_json(parser)
    parser.set_defaults(run=_init, for_people=True)


def _init(arguments: argparse.Namespace) -> Result:
    from tapeout.config import CONFIG_FILE, parse_config
    from tapeout.gate.discover import FILES, discover
    from tapeout.tracker import Tracker

    context = here()
    root = context.repository.root
    path = os.path.join(root, CONFIG_FILE)
    if os.path.exists(path) and not arguments.force:
        raise NotAllowed(f"{path} exists", hint="edit it, or replace it with --force")
    files = {name: _read(os.path.join(root, name)) for name in FILES if os.path.isfile(os.path.join(root, name))}
    checks = discover(files, frozenset(os.listdir(root)))
    lines = [
        "# What Tapeout asks of this repository. The file on the target branch is the one that counts.",
        "# All fields: docs/reference/configuration.md",
        "",
        "[project]",
        f"branch = {json.dumps(_branch(context))}",
        "",
        "[floor]",
        f"agent = {json.dumps(arguments.agent)}",
        "workers = 8",
    ]
    for check in checks:
        lines += ["", "[[check]]", f"name = {json.dumps(check.name)}", f"kind = {json.dumps(check.kind)}"]
        lines += [f"run = {json.dumps(check.run)}", f'timeout = "{check.timeout / 60:.0f}m"']
    if not checks:
        lines += _EXAMPLE
    text = "\n".join(lines) + "\n"
    if checks:
        parse_config(text)  # what we write is always valid
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    Tracker.open(context.paths, actor()).close()
    return Result({"file": path, "checks": [check.name for check in checks]}, _say(path, [c.name for c in checks]))


_EXAMPLE = [
    "",
    "# No check was found here. At least one is needed: a command that fails when the code is not good.",
    "# [[check]]",
    '# name = "tests"',
    '# kind = "test"',
    '# run = "make test"',
]


def _say(path: str, checks: list[str]) -> str:
    found = f"with the checks {', '.join(checks)}" if checks else "without a check: none was found, add one"
    return "\n".join(
        [
            f"wrote {path} {found}",
            "next:  git add tapeout.toml && git commit -m 'Add tapeout.toml'",
            "       tapeout gate run               is main green in a clean checkout?",
            "       tapeout issue new 'TITLE'      what should be done?",
            "       tapeout up                     let agents work",
        ]
    )


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _branch(context: Context) -> str:
    """The branch that is checked out, or `main`."""
    head = os.path.join(context.repository.git_dir, "HEAD")
    content = _read(head).strip() if os.path.exists(head) else ""
    return content.removeprefix("ref: refs/heads/") if content.startswith("ref: refs/heads/") else "main"
