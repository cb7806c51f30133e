"""The reference says what the code says."""

import json
import runpy
from typing import Any

import pytest

from tapeout.config import parse_config
from tests.docs.pages import PAGES, ROOT, blocks
from tests.floor.conftest import Workbench, bench, script, step, turn, writes

__all__ = ["bench"]

REFERENCE = ROOT / "docs" / "reference"
GENERATED: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))["pages"]()
SCHEMA: dict[str, Any] = json.loads((REFERENCE / "envelope.schema.json").read_text(encoding="utf-8"))

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == GENERATED[name], "run: .venv/bin/python docs/generate_reference.py"


def test_every_example_of_the_configuration_is_valid() -> None:
    examples = [(page, block) for page in PAGES for block in blocks(page) if block.info == "toml"]
    whole = [(page, block) for page, block in examples if "[[check]]" in block.text]
    assert whole
    for page, block in whole:
        parse_config(block.text, f"{page.name}:{block.line}")


def problems(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """Why `value` does not fit `schema`; only the words of JSON Schema that our schema uses."""
    if "$ref" in schema:
        return problems(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    if "oneOf" in schema:
        found = [problems(value, one, at) for one in schema["oneOf"]]
        return [] if sum(not one for one in found) == 1 else [f"{at}: fits not exactly one: {found}"]
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is not one of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{at}: {value!r} is not {' or '.join(kinds)}"]
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return [f"{at}: {value!r} is out of range"]
    if isinstance(value, list):
        items = schema.get("items", {})
        return [one for number, item in enumerate(value) for one in problems(item, items, f"{at}[{number}]")]
    return _problems_of_object(value, schema, at) if isinstance(value, dict) else []


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _problems_of_object(value: dict[str, Any], schema: dict[str, Any], at: str) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
    if schema.get("additionalProperties") is False:
        found += [f"{at}: {name} is not in the schema" for name in value if name not in known]
    for name, item in value.items():
        found += problems(item, known.get(name, {}), f"{at}.{name}")
    return found


def test_a_wrong_envelope_does_not_fit() -> None:
    good: dict[str, Any] = {"schema": 1, "ok": True, "data": []}
    assert problems(good, SCHEMA) == []
    wrongs: list[Any] = [
        {**good, "ok": False},
        {**good, "schema": 2},
        {**good, "more": 1},
        {"schema": 1, "ok": True},
        [],
    ]
    for wrong in wrongs:
        assert problems(wrong, SCHEMA)


def test_what_commands_print_fits_the_schema(bench: Workbench) -> None:
    fails = script(turn(step(write="broken", text="x")))
    bench.new("It works", writes("a.txt"), "--label", "x", "--scope", "a.txt")
    hard = bench.new("It does not", fails)
    bench.new("It waits", "", "--depends-on", hard)
    bench.new("Epic", "", "--type", "epic")
    run = _asked(bench, "up", "--until-idle", "--workers", "2")
    assert problems(run, {"$ref": "#/$defs/run"}) == []
    assert {outcome["result"] for outcome in run["outcomes"]} == {"landed", "given up"}
    for issue in _asked(bench, "issue", "list", "--status", "all"):
        assert problems(issue, {"$ref": "#/$defs/issue"}) == []
        shown = _asked(bench, "issue", "show", issue["id"])
        assert problems(shown, {"$ref": "#/$defs/issue"}) == []
        for change in shown["changes"]:
            assert problems(change["verdict"], {"$ref": "#/$defs/verdict"}) == []
    for event in _asked(bench, "logs", "--limit", "1000"):
        assert problems(event, {"$ref": "#/$defs/event"}) == []
    assert problems(_asked(bench, "gate", "run"), {"$ref": "#/$defs/verdict"}) == []
    for words, kind in (
        (("blocked",), "obstacle"), (("issue", "epics"), "epic"), (("search", "it"), "hit"),
        (("stale", "--days", "0"), "issue"),
    ):  # fmt: skip
        for row in _asked(bench, *words):
            assert problems(row, {"$ref": f"#/$defs/{kind}"}) == []
        head, *rows = bench.run(*words, "--jsonl").stdout.splitlines()
        assert problems(json.loads(head), SCHEMA) == []
        assert json.loads(head)["kind"] == kind
        assert rows
    for words in (
        ("status",),
        ("graph",),
        ("stats",),
        ("ready",),
        ("agents",),
        ("doctor",),
        ("gate", "show", "main"),
        ("publish",),
    ):
        _asked(bench, *words)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("issue", "show", "zzzz"), 3),
        (("issue", "new"), 2),
        (("init",), 5),
        (("stop",), 3),
        (("up", "--agent", "nobody"), 2),
        (("nonsense",), 2),
    ],
)
def test_errors_fit_the_schema_and_the_table(bench: Workbench, words: tuple[str, ...], code: int) -> None:
    done = bench.run(*words, "--json", code=code)
    envelope = json.loads(done.stdout)
    assert problems(envelope, SCHEMA) == []
    assert f"| {code} | `{envelope['error']['code']}` |" in GENERATED["exit-codes.md"]
    assert envelope["error"]["exit"] == code


def _asked(bench: Workbench, *words: str) -> Any:
    envelope = json.loads(bench.run(*words, "--json").stdout)
    assert problems(envelope, SCHEMA) == []
    return envelope["data"]
