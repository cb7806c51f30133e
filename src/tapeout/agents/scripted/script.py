"""The script that the agent plays: found in a prompt, parsed from TOML, checked strictly."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,})[ \t]*tapeout-script[ \t]*\r?\n"
    r"(?P<body>.*?)"
    r"^[ \t]*(?P=fence)`*[ \t]*\r?$",
    re.MULTILINE | re.DOTALL,
)
_OPENING = re.compile(r"^[ \t]*`{3,}[ \t]*tapeout-script[ \t]*\r?$", re.MULTILINE)
_HEADER = re.compile(r"^\s*\[\[\s*turn\s*(?P<step>\.\s*step\s*)?\]\]")


class ScriptError(ValueError):
    """The script is not valid; the message says where and why."""


class Step(NamedTuple):
    """One thing to do: `action` with its value, and the options that belong to it."""

    action: str
    value: Any
    options: Mapping[str, Any]


class Turn(NamedTuple):
    """What is done on one prompt; `session` None: in every session that has no turns of its own."""

    session: int | None
    steps: tuple[Step, ...]


class Script(NamedTuple):
    """All turns, in the order of the file."""

    turns: tuple[Turn, ...]

    def turn(self, session: int, prompt: int) -> Turn:
        """The turn for the `prompt`-th prompt (from 1) of the `session`-th session; the last one repeats."""
        own = [turn for turn in self.turns if turn.session == session]
        chosen = own or [turn for turn in self.turns if turn.session is None]
        return chosen[min(prompt, len(chosen)) - 1] if chosen else Turn(None, ())


class _Option(NamedTuple):
    kind: type
    required: bool


_TEXT, _COUNT, _FLAG = _Option(str, True), _Option(int, False), _Option(bool, False)
_ACTIONS: dict[str, tuple[type, dict[str, _Option]]] = {
    "write": (str, {"text": _TEXT}),
    "replace": (str, {"old": _TEXT, "new": _TEXT, "count": _COUNT}),
    "append": (str, {"text": _TEXT}),
    "delete": (str, {}),
    "run": (str, {}),
    "commit": (str, {}),
    "say": (str, {}),
    "sleep": (float, {}),
    "usage": (int, {"size": _COUNT, "cost": _Option(float, False)}),
    "ask": (str, {}),
    "crash": (int, {}),
    "exit": (int, {}),
    "hang": (bool, {"deaf": _FLAG}),
    "flood": (int, {}),
    "rubbish": (str, {}),
    "daemon": (str, {}),
    "fail": (str, {}),
}
_KIND_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def find_script(prompt: str) -> str | None:
    """The text of the first `tapeout-script` block of a prompt.

    Raises:
        ScriptError: the block is not closed.
    """
    match = _FENCE.search(prompt)
    opening = _OPENING.search(prompt)
    if opening is not None and (match is None or opening.start() < match.start()):
        raise ScriptError("the tapeout-script block is not closed")
    if match is None:
        return None
    indent = match["indent"]
    return "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))


def parse_script(text: str) -> Script:
    """Parse and check the text of a script.

    Raises:
        ScriptError: names the line, or the turn and step, and what is wrong.
    """
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"not valid TOML: {error}") from error
    turns = data.pop("turn", None)
    if data:
        raise ScriptError(f"unknown key {next(iter(data))!r}: a script is made of [[turn]] tables")
    if not isinstance(turns, list) or not turns:
        raise ScriptError("there is no [[turn]]")
    lines = _header_lines(text)
    return Script(tuple(_parse_turn(turn, number, lines) for number, turn in enumerate(turns, start=1)))


def _parse_turn(data: object, number: int, lines: Mapping[tuple[int, int], int]) -> Turn:
    where = _where(number, 0, lines)
    if not isinstance(data, dict):
        raise ScriptError(f"{where}: should be a [[turn]] table")
    unknown = sorted(set(data) - {"session", "step"})
    if unknown:
        raise ScriptError(f"{where}: unknown key {unknown[0]!r}")
    session, steps = data.get("session"), data.get("step", [])
    if session is not None and (type(session) is not int or session < 1):
        raise ScriptError(f"{where}: session should be a whole number from 1")
    if not isinstance(steps, list):
        raise ScriptError(f"{where}: steps are [[turn.step]] tables")
    parsed = [_parse_step(step, _where(number, index, lines)) for index, step in enumerate(steps, start=1)]
    return Turn(session, tuple(parsed))


def _parse_step(data: object, where: str) -> Step:
    if not isinstance(data, dict):
        raise ScriptError(f"{where}: should be a [[turn.step]] table")
    actions = [key for key in data if key in _ACTIONS]
    if len(actions) != 1:
        known = ", ".join(_ACTIONS)
        found = f"has {' and '.join(actions)}" if actions else f"has none, but {', '.join(data) or 'nothing'}"
        raise ScriptError(f"{where}: needs exactly one action, {found}; actions are {known}")
    action = actions[0]
    _check_kind(data[action], _ACTIONS[action][0], f"{where}: {action}")
    given = {key: data[key] for key in data if key != action}
    _check_options(action, given, where)
    return Step(action, data[action], given)


def _check_options(action: str, given: Mapping[str, object], where: str) -> None:
    options = _ACTIONS[action][1]
    for key in given:
        if key not in options:
            raise ScriptError(f"{where}: {action} has no option {key!r}")
    for key, option in options.items():
        if key in given:
            _check_kind(given[key], option.kind, f"{where}: {key}")
        elif option.required:
            raise ScriptError(f"{where}: {action} needs {key!r}")


def _check_kind(value: object, kind: type, where: str) -> None:
    allowed = (int, float) if kind is float else (kind,)
    if type(value) not in allowed or (type(value) in (int, float) and not 0 <= value < 1e15):  # type: ignore[operator]
        raise ScriptError(f"{where} should be {_KIND_NAMES[kind]}")


def _header_lines(text: str) -> dict[tuple[int, int], int]:
    """Line of each [[turn]] (step 0) and [[turn.step]] header."""
    lines: dict[tuple[int, int], int] = {}
    turn = step = 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header is None:
            continue
        turn, step = (turn, step + 1) if header["step"] else (turn + 1, 0)
        lines[turn, step] = number
    return lines


def _where(turn: int, step: int, lines: Mapping[tuple[int, int], int]) -> str:
    line = lines.get((turn, step))
    place = f"turn {turn}, step {step}" if step else f"turn {turn}"
    return f"line {line} ({place})" if line else place
