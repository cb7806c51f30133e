"""Which programs a check would start, and whether they are still the same: the part of a cached pass's key that is not
in the repository.

Known: every word of the command that names a program on `PATH` or by an absolute path, by path, size, time of change
and content where it is a script; for Python, which packages with which version its environment holds. Not known: what
those programs start or load in turn (a compiler that `make` calls, a shared library), the system's configuration, the
network, an editable install's sources. A check that depends on such things is `cacheable = false`.
"""

import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

SCRIPT_BYTES = 64 * 1024
"""A program up to this size is told by its content: installers make scripts of one size in one second."""

_PACKAGES = (".dist-info", ".egg-info", ".egg-link", ".pth")
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_WORD = re.compile(r"[^\s;|&<>()$`\"'=]+")


def toolchain(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> str:
    """SHA-256 of the identity of every program that these commands name."""
    digest = hashlib.sha256()
    for program in sorted({program for argv in commands for program in programs(argv, environment.get("PATH", ""))}):
        for fact in _identity(program):
            digest.update(fact.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def programs(argv: Sequence[str], path: str) -> Iterator[str]:
    """The files of the programs that a command names. Too many words may be taken for programs: that does no harm."""
    folders = [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]
    for word in dict.fromkeys(word for argument in argv for word in _words(argument)):
        found = next((name for name in _candidates(word, folders) if _is_program(name)), None)
        if found is not None:
            yield found


def _candidates(word: str, folders: Sequence[str]) -> list[str]:
    """Files that a word may name; none for one below the checkout: that is part of the tree."""
    if os.path.isabs(word):
        return [word]
    return [os.path.join(folder, word) for folder in folders] if "/" not in word else []


def _is_program(name: str) -> bool:
    return os.path.isfile(name) and os.access(name, os.X_OK)


def _words(argument: str) -> list[str]:
    try:
        words = shlex.split(argument)
    except ValueError:
        words = []
    return [argument, *words, *_WORD.findall(argument)]


def _identity(program: str) -> Iterator[str]:
    real = os.path.realpath(program)
    try:
        state = os.stat(real)
        head = _head(real, state.st_size)
    except OSError as error:
        yield f"{program}: {error.strerror}"
        return
    yield program
    yield f"{real} {state.st_size} {state.st_mtime_ns}"
    yield hashlib.sha256(head).hexdigest()
    interpreter = program if _PYTHON.fullmatch(os.path.basename(real)) else _interpreter(head)
    if interpreter:
        yield from _packages(interpreter)


def _head(path: str, size: int) -> bytes:
    if size > SCRIPT_BYTES:
        return b""
    with open(path, "rb") as file:
        return file.read(SCRIPT_BYTES)


def _interpreter(head: bytes) -> str:
    """The Python that a script names in its first lines; an installer may put it behind `exec`, as paths are long."""
    for word in head[:1024].decode("utf-8", "replace").replace("#!", " ").replace("'", " ").replace('"', " ").split():
        if os.path.isabs(word) and _PYTHON.fullmatch(os.path.basename(word)):
            return word
    return ""


def _packages(interpreter: str) -> Iterator[str]:
    """Names, which hold versions, and times of change of what is installed for a Python."""
    top = os.path.dirname(os.path.dirname(interpreter))
    tops = dict.fromkeys((top, os.path.dirname(os.path.dirname(os.path.realpath(interpreter)))))
    for folder in (name for top in tops for name in _package_folders(top)):
        try:
            with os.scandir(folder) as entries:
                found = sorted(
                    (entry.name, entry.stat().st_mtime_ns) for entry in entries if entry.name.endswith(_PACKAGES)
                )
        except OSError:
            continue
        yield folder
        yield from (f"{name} {time}" for name, time in found)


def _package_folders(top: str) -> Iterator[str]:
    for library in (os.path.join(top, "lib"), os.path.join(top, "lib64"), os.path.join(top, "local", "lib")):
        try:
            names = sorted(os.listdir(library))
        except OSError:
            continue
        for name in names:
            if _PYTHON.fullmatch(name):
                yield os.path.join(library, name, "site-packages")
                yield os.path.join(library, name, "dist-packages")
