"""Reading and deleting in folders that a hostile program may have filled.

Links are never followed, and a named pipe in the place of a file does not make us wait.
"""

import contextlib
import os
import shutil
import stat
import time

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


def read_file(path: str | bytes, limit: int, folder: int | None = None) -> bytes | None:
    """Content of a regular file of at most `limit` bytes; None if it is anything else, or is longer."""
    try:
        descriptor = os.open(path, _OPEN_FILE, dir_fd=folder)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return content if len(content) <= limit else None


def open_folder(path: str | bytes, folder: int | None = None) -> int | None:
    """Descriptor of a folder that is no link; None if it is not one, or must not be read."""
    try:
        return os.open(path, _OPEN_FOLDER, dir_fd=folder)
    except OSError:
        return None


def only_plain(path: str, depth: int) -> bool:
    """Whether `path` is a folder that holds regular files and such folders only, `depth` levels down."""
    if os.path.islink(path):
        return False
    try:
        with os.scandir(path) as entries:
            return all(
                (depth > 0 and only_plain(entry.path, depth - 1))
                if entry.is_dir(follow_symlinks=False)
                else entry.is_file(follow_symlinks=False)
                for entry in entries
            )
    except OSError:
        return False


def delete(path: str, attempts: int = 5) -> None:
    """Delete a folder with all below it, read-only folders too; fine if it does not exist.

    Raises:
        OSError: something in it cannot be deleted.
    """
    for remaining in reversed(range(attempts)):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
        except NotADirectoryError:
            os.unlink(path)
        except OSError:
            if os.path.islink(path):
                os.unlink(path)
            elif not remaining:
                raise
            else:  # read-only, or a process that is just ending still writes there
                _make_writable(path)
                time.sleep(0.02)
        else:
            return


def _make_writable(path: str) -> None:
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700)
    for folder, _, _ in os.walk(path):  # top down: a folder is made readable before it is looked into
        for name in _folders(folder):
            with contextlib.suppress(OSError):
                os.chmod(os.path.join(folder, name), 0o700)


def _folders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
