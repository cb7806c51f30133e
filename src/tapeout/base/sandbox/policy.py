"""What a program in the sandbox may do. Pure: no file system is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Network = Literal["all", "loopback", "none"]


@dataclass(frozen=True)
class Limits:
    """How much a program and everything that it starts may use; None is no limit."""

    memory: int | None = None
    """Bytes of memory, of all its processes together."""
    processes: int | None = None
    """How many processes at once."""
    file_size: int | None = None
    """Bytes: the largest file that it may write."""
    open_files: int | None = None
    """Descriptors that one process may have."""
    output: int | None = None
    """Bytes that it may print."""


@dataclass(frozen=True)
class Policy:
    """Everything is readable and nothing is writable but as said here; of two folders, one in the other, the inner one
    decides. Paths are absolute; those that do not exist are left out."""

    writable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Folders that look empty, and files that cannot be read."""
    readable: tuple[str, ...] = ()
    """What stays visible of what is hidden or replaced."""
    replaced: tuple[tuple[str, str], ...] = ()
    """Folders, and the folder that is writable in their place: `("/tmp", "/run/of/mine")`."""
    overlays: tuple["Overlay", ...] = ()
    network: Network = "loopback"
    """`loopback`: a network of its own, in which only 127.0.0.1 and ::1 answer."""
    limits: Limits = Limits()


@dataclass(frozen=True)
class Overlay:
    """A folder that is one for the program and two for us: what it writes, over what it cannot change (overlayfs)."""

    target: str
    """Where the program sees it."""
    lower: str
    upper: str
    work: str = ""
    """An empty folder on the file system of `upper`; without one, the program writes nothing there."""


Kind = Literal["hide", "hide-file", "replace", "show", "write", "link"]

_PRECEDENCE: tuple[Kind, ...] = ("hide", "hide-file", "replace", "link", "show", "write")
"""Which of two rules for one path counts: the later."""


@dataclass(frozen=True)
class Step:
    """One rule, with its paths resolved."""

    kind: Kind
    target: str
    """The path as the program sees it."""
    source: str = ""
    """For `replace` the folder that it really is, for `link` where the link leads."""


def ordered(steps: Iterable[Step]) -> list[Step]:
    """Outer folders before what is in them, one rule a path, without rules that change nothing."""
    best: dict[str, Step] = {}
    for step in steps:
        known = best.get(step.target)
        if known is None or _PRECEDENCE.index(step.kind) > _PRECEDENCE.index(known.kind):
            best[step.target] = step
    kept: list[Step] = []
    for step in sorted(best.values(), key=lambda step: (depth(step.target), step.target)):
        around = next((outer for outer in reversed(kept) if is_below(step.target, outer.target)), None)
        if not _changes_nothing(step, around):
            kept.append(step)
    return kept


def _changes_nothing(step: Step, around: Step | None) -> bool:
    """Whether what surrounds a path already says the same of it."""
    if around is None:
        return step.kind in {"show", "link"}
    if around.kind == "hide":
        return step.kind in {"hide", "hide-file"}
    return step.kind == around.kind and step.kind in {"show", "write"}


def is_below(path: str, folder: str) -> bool:
    """Whether a path is that folder or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def depth(path: str) -> int:
    """How many folders a path goes down."""
    return path.rstrip("/").count("/")
