"""Paths that are not what they seem: look-alikes, links that lead out, names that git or another system treats
differently. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import LINK, Change, Tree
from tapeout.gate.integrity.lookalikes import mixed_word, skeleton

CHECK = "paths"
_MOST_LINKS = 40

_GIT_NAMES = re.compile(r"\.git(?:[ .]*|::.*)|git~\d+", re.IGNORECASE)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def path_alarms(change: Change) -> list[Alarm]:
    """What is wrong with the paths that the change adds, and with its links."""
    alarms: list[Alarm] = []
    looked = set[str]()
    for file in change.files:
        if file.after is None:
            continue
        if file.before is None:
            alarms += [Alarm(CHECK, "tree", file.path, 0, reason) for reason in _new_path(change, file.path, looked)]
        if file.after.mode == LINK:
            reason = link_objection(change.candidate, file.path, file.after.text or "")
            if reason:
                alarms.append(Alarm(CHECK, "tree", file.path, 0, reason))
    return alarms


def _new_path(change: Change, path: str, looked: set[str]) -> Iterator[str]:
    """What is wrong with the parts of a path that the target branch does not have."""
    folder = ""
    for name in path.split("/"):
        whole = f"{folder}/{name}" if folder else name
        if whole not in looked and name not in change.base.entries(folder):
            looked.add(whole)
            reason = name_objection(name) or _taken(change, folder, name)
            if reason:
                yield reason
        folder = whole


def name_objection(name: str) -> str:
    """Why a file or folder must not be called so; empty if it may."""
    if any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for one in name):
        return "its name holds characters that cannot be seen, or no UTF-8"
    plain = unicodedata.normalize("NFKC", name)
    if _GIT_NAMES.fullmatch(plain):
        return "its name stands for git's own folder on some systems"
    if "\\" in name or name in {"", ".", ".."}:
        return "its name leads elsewhere on some systems"
    if _RESERVED.fullmatch(name) or name != name.rstrip(" ."):
        return "its name cannot be written on some systems"
    return "its name mixes alphabets that look the same" if mixed_word(name) else ""


def _taken(change: Change, folder: str, name: str) -> str:
    """The name of a neighbour, before or after the change, that looks the same or is the same on some systems."""
    if name.isascii() and name.islower() and _is_plain(change, folder):
        return ""
    for tree, when in ((change.candidate, "is"), (change.base, "was")):
        for other in tree.entries(folder):
            likeness = _likeness(name, other) if other != name else ""
            if likeness:
                return f"{likeness} {other!r}, which {when} there"
    return ""


def _likeness(name: str, other: str) -> str:
    if _folded(name) == _folded(other):
        return "differs only in case or form from"
    return "looks like" if not (name.isascii() and other.isascii()) and skeleton(name) == skeleton(other) else ""


def _is_plain(change: Change, folder: str) -> bool:
    """Whether names in a folder are such that a lower-case ASCII name differs from all of them as soon as it is another
    one."""
    sides = (change.base.entries(folder), change.candidate.entries(folder))
    return all(other.isascii() and other == other.lower() for side in sides for other in side)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


_OUTSIDE = "is a link that leads out of the repository"


def link_objection(tree: Tree, path: str, target: str) -> str:
    """Why a link must not be; empty if it leads to something inside the tree, or to nothing there yet."""
    walk = _Walk(tree, path.split("/")[:-1], [target])
    while walk.waiting:
        reason = walk.step(walk.waiting.pop())
        if reason:
            return reason
    return ""


@dataclass
class _Walk:
    """Where a link leads, step by step."""

    tree: Tree
    folder: list[str]
    waiting: list[str]
    """Steps still to take, the next one last."""
    links: int = 0

    def step(self, step: str) -> str:
        """Take it; why it must not be taken."""
        if step.startswith(("/", "\\")) or _DRIVE.match(step):
            return _OUTSIDE
        if "/" in step:
            self.waiting += step.split("/")[::-1]
        elif step == "..":
            return self._up()
        elif step.lower() == ".git" and not self.folder:
            return "is a link into git's own folder"
        elif step not in {"", "."}:
            return self._down(step)
        return ""

    def _up(self) -> str:
        if not self.folder:
            return _OUTSIDE
        self.folder.pop()
        return ""

    def _down(self, step: str) -> str:
        if self.tree.entries("/".join(self.folder)).get(step) != LINK:
            self.folder.append(step)
            return ""
        self.links += 1
        self.waiting.append(self.tree.text("/".join([*self.folder, step])) or "")
        return "is a link that leads to itself" if self.links > _MOST_LINKS else ""


_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
