"""What this hub trusts: a folder beside it that nobody else may read or write.

It holds the key of the evidence; which commits people put on their branch (`adopted`); and how far main was looked at
(`audited`). It is a folder of its own so that a sandbox can hide it as a whole.

What may go wrong: two processes make the key at once (one wins, both use it); a crash while a line is written (the line
is passed over, and written again by whoever adopts next); the folder is lost (see docs/decisions/0023).
"""

import contextlib
import os
import secrets
from typing import NamedTuple

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.ids import new_id
from tapeout.base.paths import StatePaths

KEY_BYTES = 32

_NONE = "-"


class Adopted(NamedTuple):
    """A commit that people put on the target branch themselves."""

    commit: str
    previous: str
    """Where the hub's branch was before; empty for the first."""
    why: str
    """`start` of the hub, `adopted` from the user's branch, `accepted` by hand, `joined` to what a forge
    made of it, with the same files."""


class Trust:
    """The trusted folder of one hub."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def of(cls, hub: pygit2.Repository) -> "Trust":
        """The one that belongs to a hub: beside it in the state directory."""
        return cls(StatePaths(os.path.dirname(os.path.normpath(hub.path))).trust)

    def key(self) -> bytes | None:
        """The key; None if there is none yet.

        Raises:
            EnvironmentProblem: it is damaged, or cannot be read.
        """
        path = self._path("evidence.key")
        try:
            with open(path, encoding="ascii") as file:
                key = bytes.fromhex(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _damaged(path) from error
        if len(key) != KEY_BYTES:
            raise _damaged(path)
        return key

    def make_key(self) -> bytes:
        """The key, made if there is none.

        Raises:
            EnvironmentProblem: it is damaged, or cannot be made.
        """
        key = self.key()
        if key is None:
            self._write_once("evidence.key", secrets.token_hex(KEY_BYTES) + "\n")
            key = self.key()
            assert key is not None
        return key

    def is_private(self) -> bool:
        """Whether only its owner can read the key; true if there is none."""
        try:
            return not os.stat(self._path("evidence.key")).st_mode & 0o077
        except FileNotFoundError:
            return True

    def adopted(self) -> list[Adopted] | None:
        """All adoptions, oldest first; None if this hub has never kept a list."""
        try:
            with open(self._path("adopted"), encoding="utf-8", errors="replace") as file:
                lines = [line.split() for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return None
        return [
            Adopted(commit, "" if previous == _NONE else previous, why)
            for commit, previous, why in (line for line in lines if len(line) == 3)
        ]

    def adopt(self, adoption: Adopted) -> None:
        """Add to the list; on the disk when this returns."""
        self._make_folder()
        line = f"{adoption.commit} {adoption.previous or _NONE} {adoption.why}\n".encode()
        file = os.open(self._path("adopted"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # a crash cut the last line
                line = b"\n" + line
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)

    def audited(self, branch: str) -> str | None:
        """The newest commit of a branch up to which it was found to be in order."""
        try:
            with open(self._path("audited"), encoding="utf-8", errors="replace") as file:
                commit, _, name = file.read().rstrip("\n").partition(" ")
        except FileNotFoundError:
            return None
        return commit if name == branch and commit else None

    def set_audited(self, branch: str, commit: str) -> None:
        """Remember it."""
        self._make_folder()
        path = self._path("audited")
        draft = f"{path}.{new_id()}"
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            file.write(f"{commit} {branch}\n")
        os.replace(draft, path)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _make_folder(self) -> None:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def _write_once(self, name: str, text: str) -> None:
        """Write a file whole, unless it is there."""
        self._make_folder()
        draft = self._path(f"{name}.{new_id()}")
        try:
            with open(draft, "w", encoding="ascii", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _link(draft, self._path(name))
        except OSError as error:
            raise EnvironmentProblem(f"cannot write {self._path(name)}: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(draft)


def _link(draft: str, path: str) -> None:
    """Give a file its name, unless somebody else was first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not os.path.exists(path):
            os.replace(draft, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _damaged(path: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the key of the evidence in {path} cannot be read",
        hint="restore it from a backup; or delete it: a new one is made, and evidence until then is no more this hub's",
    )
