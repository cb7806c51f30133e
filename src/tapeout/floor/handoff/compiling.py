"""A handoff without the agent's help: from the tracker, the diff and the transcript. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tapeout.floor.handoff.model import MOST_LINES, FileNote, Handoff, plain


class Ledger(NamedTuple):
    """What is on record of an attempt."""

    title: str
    """Of the issue."""
    commits: Sequence[tuple[str, str]]
    """Id and first line of each commit of the work, newest first."""
    paths: Sequence[str]
    """Files that differ from what the work started from."""
    refused: Sequence[str]
    """Why the gate refused its changes, oldest first."""
    plan: Sequence[tuple[str, str]] = ()
    """The agent's last plan: what is to be done, and its status."""
    failed: Mapping[str, int] = {}
    """Tool calls of its last turn that failed, and how often; the newest last."""
    last_words: str = ""
    """The end of what it said."""


def compile_handoff(ledger: Ledger) -> Handoff:
    """The best that can be said for an attempt that wrote no handoff, or none that can be believed."""
    done = [plain(subject) for _, subject in ledger.commits]
    done += [f"(by its plan) {plain(text)}" for text, status in ledger.plan if status == "completed"]
    todo = [f"(by its plan) {plain(text)}" for text, status in ledger.plan if status != "completed"]
    if ledger.last_words.strip():
        todo.append(f"Its last words were: {plain(ledger.last_words)}")
    dead_ends = [f"The gate refused: {plain(reason)}" for reason in ledger.refused]
    dead_ends += [
        f"Failed{f' {times} times' if times > 1 else ''}: {plain(title)}"
        for title, times in list(ledger.failed.items())[-3:]
    ]
    return Handoff(
        goal=plain(ledger.title),
        done=tuple(done[:MOST_LINES]),
        next=tuple(todo[:MOST_LINES]),
        dead_ends=tuple(dead_ends[-MOST_LINES:]),
        files=tuple(FileNote(plain(path)) for path in ledger.paths[:MOST_LINES]),
        commits=tuple(commit for commit, _ in ledger.commits[:MOST_LINES]),
    )
