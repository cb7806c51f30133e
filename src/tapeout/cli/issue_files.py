"""`tapeout issue attach`, `attachments`, `attachment` and `detach`: files that belong to issues."""

from __future__ import annotations

import contextlib
import os
import sys

from tapeout.base.errors import EnvironmentProblem, NotAllowed, UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.base.moments import clock
from tapeout.cli.commands import add_json, read_bytes, source
from tapeout.cli.context import open_tracker
from tapeout.cli.named_files import place_to_write
from tapeout.cli.output import Result, printable, table
from tapeout.tracker.commands.attachments import MAX_ATTACHMENT_BYTES, safe_name

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes


def add_attach(parser: Describes) -> None:
    """Arguments of `issue attach`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("file", metavar="FILE", help="at most 25 MB; - is standard input")
    parser.add_argument("--name", help="what it is called on the issue; default: the file's own name")
    add_json(parser)
    parser.set_defaults(run=_attach)


def _attach(arguments: argparse.Namespace) -> Result:
    if arguments.file == "-" and not arguments.name:
        raise UsageError("standard input has no name", hint="give --name")
    content = _read(arguments.file)
    with open_tracker() as tracker:
        attachment = tracker.attach(arguments.issue, arguments.name or os.path.basename(arguments.file), content)
    text = f"{attachment.issue}  attached {attachment.name} ({attachment.size:,} bytes)"
    return Result(attachment._asdict(), text)


def _read(path: str) -> bytes:
    """The content of a file, if it is not too large: an endless one is read no further."""
    content = read_bytes(path, MAX_ATTACHMENT_BYTES + 1)
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise UsageError(f"{source(path)} is larger than {MAX_ATTACHMENT_BYTES:,} bytes, which is the most")
    return content


def add_attachments(parser: Describes) -> None:
    """Arguments of `issue attachments`."""
    parser.add_argument("issue", metavar="ID")
    add_json(parser)
    parser.set_defaults(run=_attachments)


def _attachments(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        found = tracker.attachments(arguments.issue)
    rows = [(n, one.name, f"{one.size:,}", one.actor, clock(one.at)) for n, one in enumerate(found, start=1)]
    text = table(("n", "name", "bytes", "by", "at"), rows) if rows else "no attachments"
    return Result([one._asdict() for one in found], text)


def add_attachment(parser: Describes) -> None:
    """Arguments of `issue attachment`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("which", metavar="NAME|N", help="its name, or its number in `issue attachments`")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to write it; - is standard output; default: its name, here"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_json(parser)
    parser.set_defaults(run=_attachment)


def _attachment(arguments: argparse.Namespace) -> Result | None:
    if arguments.output == "-" and arguments.json:
        raise UsageError("-o - and --json both write to standard output", hint="give -o FILE")
    with open_tracker() as tracker:
        attachment = tracker.attachment(arguments.issue, arguments.which)
        content = tracker.attachment_content(attachment)
    if arguments.output == "-":
        _print(content, attachment.name)
        return None
    path = arguments.output or safe_name(attachment.name)
    try:
        with place_to_write(path) as place:
            _write(path, place, content, force=arguments.force)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from error
    return Result({**attachment._asdict(), "file": path}, f"{path}: {attachment.size:,} bytes")


def _print(content: bytes, name: str) -> None:
    """To standard output as it is; to a terminal only text, which cannot command it."""
    if sys.stdout.isatty():
        try:
            sys.stdout.write(printable(content.decode()))
        except UnicodeDecodeError as error:
            raise NotAllowed(f"{name} is no text, so it is not written to a terminal", hint="give -o FILE") from error
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)


def _write(path: str, place: str, content: bytes, *, force: bool) -> None:
    """Write a file whole or not at all.

    Args:
        path: what the user calls it.
        place: where it is.

    Raises:
        OSError: it cannot be written.
        NotAllowed: there is one already, and `force` is not given; or it is no file but a device, say.
    """
    if os.path.isdir(place):
        raise UsageError(f"{path} is a folder", hint="give the name of a file")
    if force and os.path.exists(place) and not os.path.isfile(place):
        raise NotAllowed(f"{path} is no file that could be replaced", hint="-o - is standard output")
    target = f"{place}.{os.getpid()}.part" if force else place
    made = False
    try:
        with open(target, "xb") as file:
            made = True
            file.write(content)
        if force:
            os.replace(target, place)
        made = False
    except FileExistsError as error:
        raise NotAllowed(f"{path} is there already", hint="--force replaces it") from error
    finally:
        if made:
            with contextlib.suppress(OSError):
                os.unlink(target)


def add_detach(parser: Describes) -> None:
    """Arguments of `issue detach`."""
    parser.add_argument("issue", metavar="ID")
    parser.add_argument("which", metavar="NAME|N", help="its name, or its number in `issue attachments`")
    add_json(parser)
    parser.set_defaults(run=_detach)


def _detach(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        attachment = tracker.detach(arguments.issue, arguments.which)
    return Result(attachment._asdict(), f"{attachment.issue}  detached {attachment.name}")
