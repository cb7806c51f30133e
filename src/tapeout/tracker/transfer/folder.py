"""The folder of a snapshot on disk. What a program did not write is neither overwritten nor removed, and no link is
followed out of it."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tapeout.base.errors import EnvironmentProblem, NotAllowed
from tapeout.tracker.transfer.snapshot import INDEX, ISSUES, LISTS, MARK

_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Done(NamedTuple):
    """What was done to the pages."""

    written: int
    unchanged: int
    removed: int


def write(path: str, pages: Iterable[tuple[str, str]]) -> Done:
    """Make the folder hold exactly these pages, beside what is not ours.

    Args:
        pages: relative paths with `/`, and texts.

    Raises:
        NotAllowed: a page would replace a file that no snapshot wrote, or a link.
        EnvironmentProblem: the folder cannot be read or written.
    """
    written = unchanged = removed = 0
    kept: set[str] = set()
    try:
        os.makedirs(path, exist_ok=True)
        root = os.open(path, _FOLDER)
        try:
            _refuse_foreign(root, path, INDEX, INDEX)  # before thousands of pages are there already
            ours = set(_pages_of(root, ""))
            for name, text in pages:
                kept.add(name)
                if _put(root, path, name, text.encode()):
                    written += 1
                else:
                    unchanged += 1
            for name in sorted(ours - kept):
                _remove(root, name)
                removed += 1
        finally:
            os.close(root)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise EnvironmentProblem(f"cannot write the snapshot to {path}: {where}{error.strerror or error}") from error
    return Done(written, unchanged, removed)


def _pages_of(root: int, below: str) -> Iterator[str]:
    """Relative paths of the pages that a snapshot wrote."""
    with os.scandir(root) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False) and _is_folder_of_pages(name):
            child = os.open(entry.name, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
            try:
                yield from _pages_of(child, f"{name}/")
            finally:
                os.close(child)
        elif _is_page_name(name) and entry.is_file(follow_symlinks=False) and _has_mark(root, entry.name):
            yield name


def _has_mark(folder: int, name: str) -> bool:
    return _read(folder, name, len(MARK)) == MARK.encode()


def _is_folder_of_pages(name: str) -> bool:
    first, _, rest = name.partition("/")
    return (first == ISSUES and (not rest or len(rest) == 2)) or name == LISTS


def _is_page_name(name: str) -> bool:
    return name == INDEX or (name.startswith((f"{ISSUES}/", f"{LISTS}/")) and name.endswith(".md"))


def _read(folder: int, name: str, most: int = -1) -> bytes | None:
    """Content of a plain file; None if there is none."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(most)


def _refuse_foreign(folder: int, path: str, name: str, last: str) -> bytes | None:
    """The page that is at a place now, or None; raises if something else is."""
    try:
        found = os.stat(last, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    old = _read(folder, last) if stat.S_ISREG(found.st_mode) else b""
    if old is not None and not old.startswith(MARK.encode()):
        raise NotAllowed(f"{path}/{name} was not written by a snapshot", hint="move it away, or choose another folder")
    return old


def _put(root: int, path: str, name: str, text: bytes) -> bool:
    """Write one page; whether it was not there as it is."""
    with _parent(root, path, name) as (folder, last):
        old = _refuse_foreign(folder, path, name, last)
        if old == text:
            return False
        temporary = f".{last}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666, dir_fd=folder)
        with open(descriptor, "wb") as file:
            file.write(text)
        os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
        return True


@contextlib.contextmanager
def _parent(root: int, path: str, name: str) -> Iterator[tuple[int, str]]:
    """The folder of a page, made if it is missing, and the page's name in it."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as stack:
        current = root
        for one in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(one, dir_fd=current)
            try:
                current = os.open(one, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise NotAllowed(
                    f"{one} in {path} is no folder of a snapshot", hint="move it away, or choose another folder"
                ) from error
            stack.callback(os.close, current)
        yield current, last


def _remove(root: int, name: str) -> None:
    """Remove a page, and its folder if that is empty then."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as stack:
        opened = [root]
        for one in folders:
            opened.append(os.open(one, _FOLDER | os.O_NOFOLLOW, dir_fd=opened[-1]))
            stack.callback(os.close, opened[-1])
        os.unlink(last, dir_fd=opened[-1])
        for above, one in zip(reversed(opened[:-1]), reversed(folders), strict=True):
            with contextlib.suppress(OSError):
                os.rmdir(one, dir_fd=above)
