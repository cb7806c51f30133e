"""Git's tree objects and index as bytes.

By hand, because names in a tree need not be UTF-8, and because a hostile tree or index must not be able to
do more than be refused.
"""

import struct
from typing import NamedTuple

FOLDER, FILE, PROGRAM, LINK, SUBMODULE = 0o040000, 0o100644, 0o100755, 0o120000, 0o160000
_MODES = frozenset({FOLDER, FILE, PROGRAM, 0o100664, LINK, SUBMODULE})
_ENTRY = struct.Struct(">10I20sH")


class Entry(NamedTuple):
    """One line of a tree."""

    mode: int
    id: bytes
    """20 bytes."""


class Stat(NamedTuple):
    """What a file looked like when the index was written."""

    mtime: int
    """Nanoseconds."""
    ctime: int
    """Nanoseconds."""
    inode: int
    size: int


class IndexEntry(NamedTuple):
    """A file that the index knows."""

    id: bytes
    stat: Stat


def is_safe_name(name: bytes) -> bool:
    """Whether a name may stand in a tree: it cannot lead out of its folder, or into a `.git`."""
    return bool(name) and b"/" not in name and name not in (b".", b"..") and name.lower() != b".git"


def as_checked_out(mode: int) -> int:
    """The mode that a committed file has in a work tree: old repositories hold more than git writes today."""
    if mode & 0o170000 != 0o100000:
        return mode
    return PROGRAM if mode & 0o100 else FILE


def parse_tree(data: bytes, *, strict: bool = False) -> dict[bytes, Entry]:
    """Entries of a tree by name.

    Raises:
        ValueError: damaged; if `strict`, also if it holds a name or mode that no honest tree of today has.
    """
    entries: dict[bytes, Entry] = {}
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        end = data.index(b"\0", space)
        name, mode = data[space + 1 : end], int(data[position:space], 8)
        position = end + 21
        if position > len(data) or (strict and not (is_safe_name(name) and mode in _MODES)):
            raise ValueError(f"not a valid tree entry: {name!r}")
        if name in entries:
            raise ValueError(f"twice in one tree: {name!r}")
        entries[name] = Entry(mode, data[end + 1 : position])
    return entries


def write_tree(entries: dict[bytes, Entry]) -> bytes:
    """The tree object with these entries, in git's order."""

    def order(item: tuple[bytes, Entry]) -> bytes:
        return item[0] + b"/" if item[1].mode == FOLDER else item[0]

    return b"".join(b"%o %s\0%s" % (e.mode, name, e.id) for name, e in sorted(entries.items(), key=order))


def parse_index(data: bytes) -> dict[bytes, IndexEntry]:
    """Files of an index by path; empty if it is damaged or of a kind that we do not read."""
    try:
        return _parse_index(data)
    except (struct.error, ValueError, IndexError):
        return {}


def _parse_index(data: bytes) -> dict[bytes, IndexEntry]:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3):
        return {}
    found: dict[bytes, IndexEntry] = {}
    position = 12
    for _ in range(count):
        fields = _ENTRY.unpack_from(data, position)
        flags = fields[11]
        start = position + 62 + (2 if flags & 0x4000 else 0)
        end = data.index(b"\0", start)
        found[data[start:end]] = IndexEntry(
            fields[10],
            Stat(
                fields[2] * 10**9 + fields[3],
                fields[0] * 10**9 + fields[1],
                fields[5],
                fields[9],
            ),
        )
        position += (end - position + 8) & ~7  # padded with 1 to 8 zero bytes
    return found
