"""JSON by the C functions of the standard library, without their Python part, which loads `re`: 5 ms of every tracker
command (docs/decisions/0003).

The same text and values as `json.dumps(..., ensure_ascii=False)` and `json.loads`, which also do what is unusual:
white space around a text, and saying what is wrong with one. But for NaN and infinity, which are no JSON: they are read
as null, and not written.
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
    """`json.dumps` with characters beyond ASCII as they are.

    Raises:
        ValueError: a number is not finite.
    """
    if _json is None:
        import json

        return json.dumps(value, ensure_ascii=False, separators=separators, allow_nan=False)
    encode = _encoders.get(separators) or _encoder(separators)
    try:
        return "".join(encode(value, 0))
    except BaseException:
        _encoders.pop(
            separators, None
        )  # it remembers where in the value it was, and would take the next one for a circle
        raise


def _encoder(separators: tuple[str, str]) -> Any:
    """It is kept: making one takes a quarter of the time that most texts take."""
    item, key = separators
    encode = _json.make_encoder({}, _refuse, _json.encode_basestring, None, key, item, False, False, False)
    _encoders[separators] = encode
    return encode


_encoders: dict[tuple[str, str], Any] = {}


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

    return json.loads(text, parse_float=_finite, parse_constant=_no_number)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if number - number == 0 else None


def _no_number(_text: str) -> None:
    """NaN and infinity, which Python also reads and writes, are no JSON: whoever got them could not pass them on."""


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Reading:
    """How `json.loads` reads by default, as the scanner wants to be told."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_finite)
    parse_int = int
    parse_constant = staticmethod(_no_number)


if _json is not None:
    _scan = _json.make_scanner(_Reading())
