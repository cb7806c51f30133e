"""Whether a tool's version is the one that is required. Pure."""

import re

_NUMBER = re.compile(r"\d+(?:\.\d+)+|\d+")
_CLAUSE = re.compile(r"\s*([<>]=?|[=!]=)\s*(\d+(?:\.\d+)*)\s*")

VERSION_CHARS = 120


def version_line(output: str) -> str:
    """The first line of what a version command printed that has a digit in it."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    found = next((line for line in lines if re.search(r"\d", line)), next(filter(None, lines), ""))
    return "".join(char for char in found if char.isprintable())[:VERSION_CHARS]


def fits(version: str, expected: str) -> bool:
    """Whether a version line is within a range, or begins with a text or a version number, whole parts of it:
    `0.1` does not stand for `0.14`."""
    numbers = [found[0] for found in _NUMBER.finditer(version)]
    if expected.lstrip()[:1] in {"<", ">", "=", "!"}:
        return bool(numbers) and all(_clause(numbers[0], *_split(part)) for part in expected.split(","))
    expected = expected.strip()
    return any(_begins(text, expected) for text in (version, *numbers[:1]))


def _begins(text: str, expected: str) -> bool:
    return text.startswith(expected) and not (
        expected[-1].isdigit() and text[len(expected) : len(expected) + 1].isdigit()
    )


def _split(clause: str) -> tuple[str, str]:
    found = _CLAUSE.fullmatch(clause)
    assert found is not None, "the configuration was validated"
    return found[1], found[2]


def _clause(number: str, operator: str, wanted: str) -> bool:
    left, right = ([int(part) for part in text.split(".")] for text in (number, wanted))
    size = max(len(left), len(right))
    left, right = (side + [0] * (size - len(side)) for side in (left, right))
    return {
        "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        "==": left == right, "!=": left != right,
    }[operator]  # fmt: skip
