"""Where a defect is planted, so that a check that looks there can see it. Pure.

A check may look at a part of the repository only. So each defect is tried in several files: first in those that the
check's command names, then one for each top folder.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tapeout.gate.globs import matches
from tapeout.gate.prove.snippets import KEYS, SNIPPETS, Snippet

PLACES = 3
"""In how many files one defect is tried."""

GIANT_BYTES = 128 * 1024 * 1024
"""A file that no check of sizes lets pass."""

_WORD = re.compile(r"[\w./-]+")


@dataclass(frozen=True)
class Repository:
    """What the repository holds."""

    paths: Sequence[str]
    """Of all files."""
    read: Callable[[str], bytes]
    tests: Sequence[str]
    """Globs of test files."""


@dataclass(frozen=True)
class Planting:
    """One defect in one place: the commit that is judged."""

    defect: str
    path: str
    """The file that has it."""
    content: bytes
    """All of that file."""
    message: str = "Plant a defect"
    """Of the commit."""


def plantings(kind: str, command: str, repository: Repository) -> Iterator[Planting]:
    """Defects that a check of this kind should see, the most telling ones first.

    Args:
        kind: of the check, as in `tapeout.toml`.
        command: its command, whose words may name files and folders.
        repository: what is planted into.
    """
    special = _SPECIAL.get(kind)
    if special is not None:
        yield from special(command, repository)
    found = [
        [Planting(snippet.name, path, _with(repository, path, snippet)) for path in places]
        for suffix, known in SNIPPETS.items()
        for snippet in known
        if kind in snippet.kinds and (places := _places(suffix, snippet, command, repository))
    ]
    for number in range(PLACES):  # all defects in the likeliest place before any in the next
        yield from (places[number] for places in found if number < len(places))


def _with(repository: Repository, path: str, snippet: Snippet) -> bytes:
    return repository.read(path).rstrip(b"\n") + b"\n" + snippet.text.encode()


def _places(suffix: str, snippet: Snippet, command: str, repository: Repository) -> list[str]:
    fitting = [
        path
        for path in repository.paths
        if path.endswith(suffix) and matches(path, repository.tests) == snippet.in_tests
    ]
    return _spread([path for path in fitting if not _is_bare(path)] or fitting, command)


def _is_bare(path: str) -> bool:
    """Files that tools often leave out, generated or a list of names: taken where there is nothing else."""
    return os.path.basename(path) in {"__init__.py", "conftest.py", "index.d.ts"}


def _spread(paths: Iterable[str], command: str) -> list[str]:
    """At most `PLACES` of these paths, the ones that the command names first, then one for each top folder."""
    named = _WORD.findall(command)

    def rank(path: str) -> tuple[int, int, str]:
        lengths = [len(word) for word in named if path == word or path.startswith(word.rstrip("/") + "/")]
        return -max(lengths, default=0), path.count("/"), path

    chosen: dict[str, str] = {}
    for path in sorted(paths, key=rank):
        top = path.split("/", 1)[0] if rank(path)[0] == 0 else path
        chosen.setdefault(top, path)
    return list(chosen.values())[:PLACES]


def _keys(command: str, repository: Repository) -> Iterator[Planting]:
    text = [path for path in repository.paths if os.path.splitext(path)[1] in SNIPPETS]
    places = [*_spread(text, command)[:1], "tapeout_planted.env"]
    for name, key in KEYS:
        for path in places:
            before = repository.read(path) if path in repository.paths else b""
            text_of_it = f'\nTAPEOUT_PLANTED = """{key}"""\n'
            yield Planting(name, path, before + text_of_it.encode())


def _giant(command: str, repository: Repository) -> Iterator[Planting]:
    yield Planting("giant file", "tapeout_planted.bin", bytes(GIANT_BYTES))


def _copies(command: str, repository: Repository) -> Iterator[Planting]:
    code = [path for path in repository.paths if os.path.splitext(path)[1] in SNIPPETS]
    for path in _spread(code, command):
        longest = max(
            (one for one in code if os.path.dirname(one) == os.path.dirname(path)),
            key=lambda p: len(repository.read(p)),
        )
        stem, suffix = os.path.splitext(longest)
        yield Planting("copy of a file", f"{stem}_tapeout_planted{suffix}", repository.read(longest))


def _messages(command: str, repository: Repository) -> Iterator[Planting]:
    for name, message in (("message of one letter", "x"), ("unfinished commit", "fixup! WIP")):
        yield Planting(name, "tapeout_planted.txt", b"planted\n", message)


def _elsewhere(command: str, repository: Repository) -> Iterator[Planting]:
    yield Planting("file outside of what the issue declares", "tapeout_planted.txt", b"planted\n")


def _unlocked(command: str, repository: Repository) -> Iterator[Planting]:
    for path in repository.paths:
        name = os.path.basename(path)
        if name in {"pyproject.toml", "Cargo.toml"}:
            added = repository.read(path).rstrip(b"\n") + b'\ntapeout-undeclared = "1.0"\n'
        elif name == "package.json":
            added = repository.read(path).replace(b"{", b'{\n  "tapeout-undeclared": "^1.0.0",', 1)
        else:
            continue
        yield Planting("dependency that is not locked", path, added)


_SPECIAL: dict[str, Callable[[str, Repository], Iterator[Planting]]] = {
    "secrets": _keys,
    "size": _giant,
    "duplication": _copies,
    "commits": _messages,
    "scope": _elsewhere,
    "dependencies": _unlocked,
}
