"""The page on the Python API, from the docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from tapeout import tracker
from tapeout.base import errors
from tapeout.tracker import model
from tapeout.tracker.prime import model as prime_model
from tapeout.tracker.prime import primer

_NOTE = "<!-- Written by docs/generate_reference.py. Do not edit. -->\n"

EXAMPLE = """\
from tapeout.base.errors import LostClaim
from tapeout.tracker import Draft, Tracker

with Tracker.at(".", actor="ada") as tracker:
    parsing = Draft("Parse tags", acceptance="- `#tag` becomes a label", name="parse")
    parse, show = tracker.create_many([parsing, Draft("Show tags", depends_on=("parse",))])
    lease = tracker.claim(parse.id, owner="ada", seconds=600)
    try:
        tracker.claim(parse.id, owner="ben")
    except LostClaim as lost:
        print(lost.details["owner"], "has it until", lost.details["expires"])
    tracker.comment(parse.id, "The grammar is in docs/tags.md.")
    tracker.close_issue(parse.id, "done")
    print([issue.title for issue in tracker.ready()])
    print(tracker.prime(budget=1_000).text)
"""

_ERRORS = (
    errors.UsageError, errors.NotFound, errors.Conflict, errors.LostClaim, errors.NotAllowed, errors.EnvironmentProblem,
)  # fmt: skip


def python_api_page() -> str:
    """Every public method of `Tracker` and every value that they take or give."""
    parts = [
        _NOTE + "# Python API",
        "`tapeout.tracker` is the tracker without the command line. Python 3.11 or newer; the package is typed.",
        f"```python test\n{EXAMPLE}```",
        "Any number of processes may have a tracker open. One `Tracker` is one connection: not for several threads at"
        " once. Ids may be shortened to their first characters where a parameter is called `prefix`. Errors are"
        " subclasses of `tapeout.base.errors.TapeoutError` with `message`, `hint` and `details`;"
        " [exit codes](exit-codes.md) lists them.",
        "## `Tracker`",
        _prose(tracker.Tracker),
    ]
    for name, method in sorted(_methods(tracker.Tracker), key=lambda one: _place(*one)):
        parts += [f"### `{name}{_signature(method)}`", _prose(method)]
    parts += ["## Values", "Immutable named tuples. Times are Unix seconds."]
    for kind in (tracker.Draft, *_values()):
        parts += [f"### `{kind.__name__}`", _prose(kind), ", ".join(f"`{name}`" for name in kind._fields) + "."]
    parts += ["## Errors", "\n".join(map(_error, _ERRORS))]
    return "\n\n".join(parts) + "\n"


def _values() -> Iterator[type[Any]]:
    for kind in vars(model).values():
        if inspect.isclass(kind) and hasattr(kind, "_fields") and kind.__module__ == model.__name__:
            yield kind
    yield from (tracker.Filter, tracker.Counts, primer.Primer, primer.Section, prime_model.Reader)


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    for name, method in inspect.getmembers(kind, callable):
        if not name.startswith("_"):
            yield name, method


def _place(name: str, method: Any) -> tuple[int, int]:
    """By the file that a method is in, then by its line: as the code tells it."""
    function = getattr(method, "__func__", method)
    order = [one.__name__ for one in reversed(tracker.Tracker.__mro__)]
    owner = function.__qualname__.partition(".")[0]
    return -order.index(owner) if owner != "Tracker" else -len(order), function.__code__.co_firstlineno


def _signature(method: Any) -> str:
    """As it is written, with no module names."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(getattr(method, "__func__", method)))).body
    assert isinstance(node, ast.FunctionDef)
    arguments = re.sub(r"^(?:self|cls)(?:, )?", "", ast.unparse(node.args)).replace("=", " = ")
    text = f"({arguments}) -> {ast.unparse(node.returns) if node.returns else 'None'}"
    text = re.sub(r"\b(?:model|queries|waiting)\.", "", text)
    return re.sub(r"'([A-Z]\w+(?: \| None)?)'", r"\1", text).replace("Self", "Tracker")


def _prose(thing: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    text = inspect.getdoc(thing)
    assert text, f"{thing} has no docstring"
    lines = []
    for line in text.splitlines():
        if line in ("Args:", "Raises:"):
            lines.append({"Args:": "Parameters:\n", "Raises:": "Raises:\n"}[line])
        elif line.startswith("    ") and not line.startswith("     ") and ": " in line:
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _error(kind: type[Exception]) -> str:
    return f"- `{kind.__name__}`: {' '.join((inspect.getdoc(kind) or '').split())}"
