"""Paths that are not what they seem: look-alikes, links that lead out, names that git or another system treats
differently. Pure."""

import re
import unicodedata
from collections.abc import Iterator

from tapeout.gate.integrity.alarm import Alarm
from tapeout.gate.integrity.change import LINK, Change, Tree
from tapeout.gate.integrity.lookalikes import mixed_scripts, skeleton

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
    return "its name mixes alphabets that look the same" if mixed_scripts(name) else ""


def _taken(change: Change, folder: str, name: str) -> str:
    """The name of a neighbour, before or after the change, that looks the same or is the same on some systems."""
    if name.isascii() and name.islower() and _is_plain(change, folder):
        return ""
    mine, like = _folded(name), skeleton(name)
    for tree, when in ((change.candidate, "is"), (change.base, "was")):
        for other in tree.entries(folder):
            if other == name:
                continue
            if _folded(other) == mine:
                return f"differs only in case or form from {other!r}, which {when} there"
            if skeleton(other) == like and not (name.isascii() and other.isascii()):
                return f"looks like {other!r}, which {when} there"
    return ""


def _is_plain(change: Change, folder: str) -> bool:
    """Whether names in a folder are such that a lower-case ASCII name differs from all of them as soon as it is another
    one."""
    sides = (change.base.entries(folder), change.candidate.entries(folder))
    return all(other.isascii() and other == other.lower() for side in sides for other in side)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def link_objection(tree: Tree, path: str, target: str) -> str:
    """Why a link must not be; empty if it leads to something inside the tree, or to nothing there yet."""
    if target.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", target):
        return "is a link to an absolute path, outside of the repository"
    folder = path.split("/")[:-1]
    waiting = [one for one in target.split("/") if one not in {"", "."}][::-1]
    links = 0
    while waiting:
        name = waiting.pop()
        if name == "..":
            if not folder:
                return "is a link that leads out of the repository"
            folder.pop()
            continue
        if name.lower() == ".git" and not folder:
            return "is a link into git's own folder"
        if tree.entries("/".join(folder)).get(name) != LINK:
            folder.append(name)
            continue
        links += 1
        next_target = tree.text("/".join([*folder, name])) or ""
        if links > _MOST_LINKS:
            return "is a link that leads to itself"
        if next_target.startswith("/"):
            return "is a link that leads out of the repository"
        waiting += [one for one in next_target.split("/") if one not in {"", "."}][::-1]
    return ""
