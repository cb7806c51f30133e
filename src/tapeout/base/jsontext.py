"""JSON by the C functions of the standard library, without their Python part, which loads `re`: 5 ms of every tracker
command (docs/decisions/0003).

The same text and values as `json.dumps(..., ensure_ascii=False)` and `json.loads`, which also do what is unusual:
white space around a text, and saying what is wrong with one.
"""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn

    _json: Any
else:
    try:
        import _json
    except ImportError:  # another Python than CPython
        _json = None


def dumps(value: Any, separators: tuple[str, str] = (", ", ": ")) -> str:
    """`json.dumps` with characters beyond ASCII as they are."""
    if _json is None:
        import json

        return json.dumps(value, ensure_ascii=False, separators=separators)
    item, key = separators
    encode = _json.make_encoder({}, _refuse, _json.encode_basestring, None, key, item, False, False, True)
    return "".join(encode(value, 0))


def escaped(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string of nothing but ASCII."""
    if _json is None:
        import json

        return json.dumps(text)[1:-1]
    return str(_json.encode_basestring_ascii(text))[1:-1]


def loads(text: str) -> Any:
    """`json.loads`.

    Raises:
        ValueError: it is no JSON.
    """
    if _json is not None:
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            end = -1
        if end == len(text):
            return value
    import json

    return json.loads(text)


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Reading:
    """How `json.loads` reads by default, as the scanner wants to be told."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


if _json is not None:
    _scan = _json.make_scanner(_Reading())
