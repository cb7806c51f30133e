"""`tapeout import`, `tapeout export` and `tapeout snapshot`: issues as files."""

from __future__ import annotations

import contextlib
import json
import os

from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli import output
from tapeout.cli.claims import add_token, under_lease
from tapeout.cli.commands import add_json, read_bytes, source
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, TextIO

    from tapeout.cli.commands import Describes
    from tapeout.tracker import Tracker

FORMATS = ("beads", "github", "tapeout")
SHOWN = 20
"""Remarks that people see; programs get all."""


def add_arguments(parser: Describes) -> None:
    """Arguments of `import`, `export` or `snapshot`."""
    {"import": _add_import, "export": _add_export, "snapshot": _add_snapshot}[parser.prog.split()[-1]](parser)


def _add_import(parser: Describes) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="JSONL of Beads or of `tapeout export`, JSON of GitHub; - is stdin"
    )
    parser.add_argument("--from", dest="format", choices=FORMATS, help="the format; told from the file by default")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    add_token(parser)
    add_json(parser)
    parser.set_defaults(run=_import, for_people=True)


def _import(arguments: argparse.Namespace) -> Result:
    from tapeout.tracker.bulk import without_garbage_collection
    from tapeout.tracker.transfer import formats

    name = source(arguments.file)
    with without_garbage_collection():
        content = formats.read(read_bytes(arguments.file), name, arguments.format)
        with open_tracker() as tracker, under_lease(tracker, arguments.token):
            report = tracker.import_issues(content, name, dry_run=arguments.dry_run)
    data = report._asdict() | {
        "dry_run": arguments.dry_run,
        "skipped": [one._asdict() for one in report.skipped],
        "remarks": [one._asdict() for one in report.remarks],
    }
    counts = f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged"
    lines = [f"{'would be: ' if arguments.dry_run else ''}{counts}, {len(report.skipped)} skipped ({report.format})"]
    for title, remarks in (("skipped", report.skipped), ("note", report.remarks)):
        lines += [f"{title}: {one.where}: {one.text}" for one in remarks[:SHOWN]]
        if len(remarks) > SHOWN:
            lines.append(f"... and {len(remarks) - SHOWN} more: --json shows all")
    return Result(data, "\n".join(lines))


def _add_export(parser: Describes) -> None:
    parser.add_argument("--to", choices=FORMATS, default="tapeout", help="default tapeout, which holds everything")
    parser.add_argument("--query", metavar="QUERY", help="only the issues that fit it")
    parser.add_argument("-o", "--output", metavar="FILE", help="default standard output")
    add_json(parser)
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> Result | None:
    if arguments.json and arguments.output is None:
        raise UsageError("an export is no envelope", hint="leave out --json, or give -o FILE")
    with open_tracker() as tracker:
        items = tracker.export_issues(arguments.to, _wanted(tracker, arguments.query))
        if arguments.output is None:
            for piece in _pieces(items, arguments.to):
                output.write_raw(piece)
            return None
        with _replacing(arguments.output) as file:
            count = 0
            for piece in _pieces(items, arguments.to):
                file.write(piece)
                count += piece not in ("[\n", "\n]\n", "[]\n")
    return Result(
        {"issues": count, "file": arguments.output}, f"{output.counted(count, 'issue')} in {arguments.output}"
    )


def _wanted(tracker: Tracker, query: str | None) -> list[str] | None:
    return None if query is None else tracker.matching_ids(query)


def _pieces(items: Iterator[dict[str, Any]], to: str) -> Iterator[str]:
    """The file, in pieces: a JSON array for GitHub, one object a line otherwise. Nothing in it is not printable."""
    encoder = json.JSONEncoder(separators=(",", ":"))

    def encode(item: dict[str, Any]) -> str:
        return encoder.encode(item).replace("\x7f", "\\u007f")

    if to != "github":
        for item in items:
            yield encode(item) + "\n"
        return
    first = next(items, None)
    if first is None:
        yield "[]\n"
        return
    yield "[\n"
    yield encode(first)
    for item in items:
        yield ",\n" + encode(item)
    yield "\n]\n"


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[TextIO]:
    """A file that gets its name when it is complete."""
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _add_snapshot(parser: Describes) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="made if it is missing; only pages of a snapshot are replaced")
    add_json(parser)
    parser.set_defaults(run=_snapshot)


def _snapshot(arguments: argparse.Namespace) -> Result:
    import time

    from tapeout.tracker.transfer import folder, snapshot

    with open_tracker() as tracker:
        pages = snapshot.pages(tracker.issues(), tracker.records(), time.time())
        done = folder.write(arguments.folder, pages)
    text = f"{output.counted(done.written, 'page')} written, {done.unchanged} unchanged, {done.removed} removed"
    return Result(done._asdict(), text)
