"""What a handoff needs from the hub, the tracker and the transcript. Whatever an agent left there is read with limits
and never fails: a handoff is worth less than the end of the attempt."""

import itertools
import os
import re
from collections import deque

import pygit2
from pygit2.enums import ObjectType, SortMode

from tapeout.agents import Entry, Plan, Prompt, Text, ToolCall, read_transcript
from tapeout.base.git import is_ancestor, message_of, open_bare
from tapeout.base.paths import StatePaths
from tapeout.floor.handoff.compiling import Ledger
from tapeout.floor.handoff.model import LONGEST_LINE, MOST_LINES, Handoff
from tapeout.floor.handoff.verifying import Known
from tapeout.floor.handoff.wording import REQUEST_BEGINS
from tapeout.tracker import Tracker

LAST_ENTRIES = 500
"""Entries of a transcript that are looked at, from its end."""

_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def known_of(paths: StatePaths, handoff: Handoff, head: str, base: str) -> Known:
    """What git says of that which a handoff names.

    Args:
        head: the attempt's work, committed.
        base: the commit that it started from.
    """
    hub = open_bare(paths.hub)
    trees = [hub[commit].peel(pygit2.Commit).tree for commit in (head, base)]
    real = {note.path for note in handoff.files if any(_has(tree, note.path) for tree in trees)}
    found = {name: _commit(hub, name, head) for name in handoff.commits}
    return Known(real, {name: commit for name, commit in found.items() if commit is not None})


def ledger_of(tracker: Tracker, paths: StatePaths, attempt: str, head: str | None) -> Ledger:
    """What is on record of an attempt."""
    one = tracker.attempt(attempt)
    refused = [
        str((change.verdict or {}).get("reason", change.state))
        for change in tracker.all_changes(one.issue)
        if change.attempt == attempt and change.state in ("failed", "conflict")
    ]
    commits, changed = _work(paths, head, one.base) if head and one.base else ([], [])
    entries = _last_turn(os.path.join(paths.transcripts, f"{attempt}.jsonl"))
    plans = [entry.entries for entry in entries if isinstance(entry, Plan)]
    failed: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, ToolCall) and entry.status == "failed":
            failed[entry.title] = failed.pop(entry.title, 0) + 1
    said = [entry.text for entry in entries if isinstance(entry, Text)]
    title = tracker.issue(one.issue).title
    return Ledger(
        title, commits, changed, refused, plans[-1] if plans else (), failed, said[-1][-LONGEST_LINE:] if said else ""
    )


def _has(tree: pygit2.Tree, path: str) -> bool:
    try:
        return bool(path) and tree / path is not None
    except (KeyError, ValueError, TypeError):
        return False


def _commit(hub: pygit2.Repository, name: str, head: str) -> str | None:
    """The whole id of a commit that the work contains."""
    if not _COMMIT.fullmatch(name):
        return None
    try:
        found = hub[name]
        if found.type != ObjectType.COMMIT or not is_ancestor(hub, str(found.id), head):
            return None
    except (KeyError, ValueError):
        return None
    return str(found.id)


def _work(paths: StatePaths, head: str, base: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Commits of the work, newest first, and the paths that it changes."""
    hub = open_bare(paths.hub)
    walk = hub.walk(head, SortMode.TOPOLOGICAL)
    walk.hide(base)
    commits = [(str(one.id), message_of(one).strip().partition("\n")[0]) for one in itertools.islice(walk, MOST_LINES)]
    trees = [hub[commit].peel(pygit2.Commit).tree for commit in (base, head)]
    deltas = itertools.islice(trees[0].diff_to_tree(trees[1]).deltas, MOST_LINES)
    return commits, [os.fsdecode(delta.new_file.raw_path) for delta in deltas]


def _last_turn(transcript: str) -> list[Entry]:
    """The end of what happened after the last prompt, that for a handoff and its answer left out."""
    entries: deque[Entry] = deque(maxlen=LAST_ENTRIES)
    for _, entry in read_transcript(transcript):
        if isinstance(entry, Prompt):
            if entry.text.startswith(REQUEST_BEGINS):
                break
            entries.clear()
        entries.append(entry)
    return list(entries)
