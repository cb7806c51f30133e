"""Writes the pages of `docs/reference` that say what the code says: commands, configuration, exit codes.

    .venv/bin/python docs/generate_reference.py

`tests/docs` fails when a page is out of date.
"""

import argparse
import ast
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import tapeout
from tapeout import config
from tapeout.base import errors
from tapeout.cli.commands import COMMANDS
from tapeout.cli.parser import build

sys.path.insert(0, str(Path(__file__).parent))
from json_schema import envelope_schema
from python_api import python_api_page

FOLDER = Path(__file__).parent / "reference"

_NOTE = "<!-- Written by docs/generate_reference.py. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """File name to content."""
    return {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
        "exit-codes.md": errors_page(),
        "envelope.schema.json": json.dumps(envelope_schema(), indent=1, ensure_ascii=False) + "\n",
        "python-api.md": python_api_page(),
    }


def commands_page() -> str:
    """Every command with its arguments, from the parser itself."""
    parts = [
        _NOTE + "# Commands",
        "Every command takes `--json` and `--help`. It works on the git repository of the current folder, or on the"
        " one that `$TAPEOUT_REPOSITORY` names. An id may be shortened to its first characters, as long as only one"
        " fits. What commands answer to programs is in [json.md](json.md), how they end in"
        " [exit-codes.md](exit-codes.md).",
    ]
    for parser in _leaves(build(COMMANDS, load=True)):
        parts.append(f"## `{parser.prog}`")
        if parser.description:
            parts.append(parser.description[0].upper() + parser.description[1:].removesuffix(".") + ".")
        rows = [_argument(action) for action in parser._actions if action.dest not in ("help", "json")]
        usage = " ".join(
            ["tapeout", *parser.prog.split()[1:], *(_usage(a) for a in parser._actions if a.dest != "help")]
        )
        parts.append(f"```\n{usage}\n```")
        if rows:
            parts.append("\n".join(["| argument | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands below a parser that do something themselves."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for chosen in group.choices.values():
            yield from _leaves(chosen)


def _value(action: argparse.Action) -> str:
    """What stands for the argument's value; empty for a switch."""
    if action.nargs == 0:
        return ""
    if action.metavar is not None:
        return str(action.metavar)
    if action.choices is not None and len(list(action.choices)) <= 6:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


def _usage(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return {"?": f"[{value}]", "*": f"[{value} ...]"}.get(str(action.nargs), value)
    name = action.option_strings[0]
    return f"[{name} {value}]" if value else f"[{name}]"


def _argument(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{_value(action)}`"
    value = f" `{_value(action)}`" if action.option_strings and _value(action) else ""
    return f"| {names}{value} | {_cell(action.help or '')} |".replace(" | |", " | |")


def configuration_page() -> str:
    """Every field of `tapeout.toml`, from the models."""
    folder = Path(inspect.getfile(config)).parent
    docs = _field_docs("\n".join(path.read_text() for path in sorted(folder.glob("*.py"))))
    tables: tuple[tuple[str, type[config.Model]], ...] = (
        ("`[project]`", config.ProjectConfig),
        ("`[floor]`", config.FloorConfig),
        ("`[tracker]`", config.TrackerConfig),
        ("`[agents.NAME]`", config.AgentConfig),
        ("`[lane.NAME]`", config.LaneConfig),
        ("`[lane.NAME.budget]`", config.LaneBudget),
        ("`[budget]`", config.FloorBudget),
        ("`[budget.attempt]`, `[lane.NAME.budget.attempt]`", config.AttemptBudget),
        ("`[budget.issue]`, `[lane.NAME.budget.issue]`", config.IssueBudget),
        ("`[provider.NAME]`", config.ProviderConfig),
        ("`[[check]]`", config.CheckConfig),
        ("`[gate]`", config.GateConfig),
        ("`[gate.privileged]`", config.PrivilegedConfig),
        ("`[queue]`", config.QueueConfig),
        ("`[sandbox]`", config.SandboxConfig),
        ("`[workspace]`", config.WorkspaceConfig),
        ("`[prompt]`", config.PromptConfig),
    )
    parts = [
        _NOTE + "# `tapeout.toml`",
        "The file that counts is the one on the *target branch*: the floor, the workers and the gate read it from git"
        " there, never from a work tree or from a change. Only a person can change it: the gate refuses a change that"
        " touches it. An unknown field or a value of the wrong type is an error that names the line.",
        'A duration is a number of seconds, or text such as `"90s"`, `"10m"`, `"1.5h"`, `"500ms"`. A size is a number'
        ' of bytes, or text such as `"512MB"`, `"4GB"`, in units of 1024.',
    ]
    for title, model in tables:
        rows = ["| field | type | default | |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            if any(_is_table(part) for part in (field.annotation, *get_args(field.annotation))):
                continue  # a table of its own
            kind = _kind(model, name)
            given = None if field.is_required() else field.get_default(call_default_factory=True)
            if kind == "size" and isinstance(given, int):
                given = f"{given // 1024**3}GB"
            default = "required" if field.is_required() else _default(given)
            rows.append(f"| `{name}` | {kind} | {default} | {_cell(docs.get((model.__name__, name), ''))} |")
        parts += [f"## {title}", "\n".join(rows)]
        if model is config.CheckConfig:
            parts.append(
                "At least one check is required. Each runs on the same clean checkout; `gate.order` orders them."
            )
    parts += ["## An example", f"```toml\n{_EXAMPLE}```"]
    return "\n\n".join(parts) + "\n"


_EXAMPLE = """\
[project]
branch = "main"
publish = "branch"

[floor]
agent = "codex"
workers = 4

[agents.codex]
pass_env = ["OPENAI_API_KEY"]

[[check]]
name = "lint"
kind = "lint"
run = "ruff check ."
timeout = "1m"

[[check]]
name = "tests"
kind = "test"
run = ["python3", "-m", "pytest", "-q"]
timeout = "10m"
"""


def _field_docs(source: str) -> dict[tuple[str, str], str]:
    """(class, field) to the text below the field."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                is_field = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                if is_field and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    found[node.name, field.target.id] = inspect.cleandoc(str(text.value.value))
    return found


def _is_table(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, config.Model)


def _kind(model: type[config.Model], name: str) -> str:
    """The type of a field, from its JSON schema."""
    schema = model.model_json_schema()["properties"][name]
    kinds = [_schema_kind(one) for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if "Seconds" in str(model.__annotations__.get(name)) or _is_parsed_by(config.parse_duration, model, name):
        return "duration"
    return "size" if _is_parsed_by(config.parse_size, model, name) else " or ".join(kinds)


def _is_parsed_by(parser: Callable[[object], object], model: type[config.Model], name: str) -> bool:
    field = model.model_fields[name]
    inner = [one for part in get_args(field.annotation) for one in getattr(part, "__metadata__", ())]
    return any(getattr(one, "func", None) is parser for one in (*field.metadata, *inner))


def _schema_kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return "list of text"
    if schema.get("type") == "object":
        return "table of text"
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}" if "maximum" in schema else f"{schema['minimum']} or more"
    return {"string": "text", "integer": "number", "boolean": "true or false", "number": "number"}[schema["type"]]


def _default(value: object) -> str:
    if value in (None, (), {}):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`".lower() if isinstance(value, bool) else f"`{value}`"


def errors_page() -> str:
    """Every error with its code, from the classes."""
    for module in pkgutil.walk_packages(tapeout.__path__, "tapeout."):
        if not module.name.endswith(("__main__", ".preload")):  # these do something when they are imported
            importlib.import_module(module.name)
    rows = ["| exit code | `code` in JSON | when |", "|---|---|---|", "| 0 | | It worked. |"]
    for error in sorted(_below(errors.TapeoutError), key=lambda one: (one.exit_code, one.code)):
        text = _cell(inspect.getdoc(error) or "").replace(f" (exit code {error.exit_code})", "")
        rows.append(f"| {error.exit_code} | `{error.code}` | {text} |")
    rows.append("| 130 | | Interrupted by Ctrl-C. |")
    parts = [
        _NOTE + "# Exit codes",
        "A command that fails prints one line on standard error: what is wrong, and in parentheses what to do about it."
        " With `--json` it prints an [envelope](json.md) on standard output instead. The exit code is the same.",
        "\n".join(rows),
        "A defect of Tapeout itself also ends with exit code 1; the message names the file that its traceback went to.",
        "`tapeout up` ends with 0 when it was stopped or is idle, also if agents gave up on some issues:"
        " `tapeout issue list --needs-person` lists those.",
    ]
    return "\n\n".join(parts) + "\n"


def _below(error: type[errors.TapeoutError]) -> set[type[errors.TapeoutError]]:
    found = {error}
    for one in error.__subclasses__():
        found |= _below(one)
    codes: dict[tuple[int, str], type[errors.TapeoutError]] = {}
    for one in sorted(found, key=lambda one: len(one.__mro__)):
        codes.setdefault((one.exit_code, one.code), one)  # a subclass without a code of its own is its parent
    return set(codes.values())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
