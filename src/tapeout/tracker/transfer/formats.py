"""Files of issues: which format one is in, and the records in it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tapeout.base.errors import UsageError
from tapeout.tracker.transfer import beads, github, native
from tapeout.tracker.transfer.record import Item, Record, Remark

FORMATS = ("beads", "github", "tapeout")

_READERS: dict[str, Callable[[Item], Record | None]] = {
    "beads": beads.read,
    "github": github.read,
    "tapeout": native.read,
}
_MARKS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "tapeout": native.looks_like,
    "github": github.looks_like,
    "beads": beads.looks_like,
}


class Content(NamedTuple):
    """What a file holds."""

    format: str
    records: list[Record]
    skipped: list[Remark]
    """Items that are no issues, and why."""
    remarks: list[Remark]
    """What was changed so that it could be kept."""


def read(data: bytes, source: str, wanted: str | None = None) -> Content:
    """Read a file: one JSON object a line, or JSON arrays of objects.

    Args:
        source: its name, for errors.
        wanted: its format; told from the first object otherwise.

    Raises:
        UsageError: something in it is not valid; names line or index and field.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    content = Content(wanted or "", [], [], [])
    places: dict[str, str] = {}
    for where, item in _items(data, source):
        if not content.format:
            content = content._replace(format=_format_of(item, source))
        _add(content, Item(where, item, source), places)
    return content


def _add(content: Content, item: Item, places: dict[str, str]) -> None:
    record = _READERS[content.format](item)
    if record is None:
        content.skipped.extend(item.remarks)
        return
    content.remarks.extend(item.remarks)
    if record.name in places:
        raise UsageError(
            f"{item.source}, {item.where}: {record.name} is there already, {places[record.name]}",
            hint="nothing was imported; leave one of them out",
        )
    places[record.name] = item.where
    content.records.append(record)


def _format_of(item: Mapping[str, Any], source: str) -> str:
    for name, looks_like in _MARKS.items():
        if looks_like(item):
            return name
    raise UsageError(f"cannot tell the format of {source}", hint=f"say it with --from: {', '.join(FORMATS)}")


def _items(data: bytes, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if data.lstrip()[:1] == b"[":
        yield from _array_items(data, source)
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            where = f"line {number}"
            yield where, _object(_parse(line, source, where), source, where)


def _array_items(data: bytes, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`gh api --paginate` prints one array after the other."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}, byte {error.start}: not valid UTF-8") from error
    decoder = json.JSONDecoder()
    index, position = 0, 0
    while position < len(text) and (rest := text[position:].lstrip()):
        position = len(text) - len(rest)
        try:
            found, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{source} is no JSON: {error}") from error
        for item in found if isinstance(found, list) else [found]:
            where = f"item {index}"
            yield where, _object(item, source, where)
            index += 1


def _parse(line: bytes, source: str, where: str) -> Any:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}, {where}: not valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}, {where} is no JSON: {error}") from error


def _object(item: Any, source: str, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise UsageError(f"{source}, {where}: {item!r:.60} is no JSON object")
    return item
