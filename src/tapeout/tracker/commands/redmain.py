"""The issue that says that the target branch itself fails the gate, and the change that takes the culprit back."""

from __future__ import annotations

import os

from tapeout.base.ids import new_id
from tapeout.base.lean import TYPE_CHECKING, NamedTuple
from tapeout.tracker import queries
from tapeout.tracker.commands.pushes import PUSH_LEASE_SECONDS, PushCommands
from tapeout.tracker.model import RED_MAIN

if TYPE_CHECKING:
    from tapeout.tracker.fields import Draft
    from tapeout.tracker.model import Issue


class Culprit(NamedTuple):
    """The commit that made the target branch red."""

    commit: str
    change: str
    """As which it landed; empty if people put it on their branch."""
    issue: str
    """Of that change."""
    checks: tuple[str, ...]
    """That fail since."""

    @property
    def escaped(self) -> bool:
        """Whether the gate let it through."""
        return bool(self.change)


class RedMainCommands(PushCommands):
    """A red target branch."""

    def red_main(self) -> list[Issue]:
        """Open issues about a red target branch."""
        with self._reading() as connection:
            return queries.issues(connection, queries.Filter(status="open", label=RED_MAIN), -1)

    def red_main_lines(self) -> tuple[str, ...]:
        """The same for a status: id and title."""
        return tuple(f"{issue.id}: {issue.title}" for issue in self.red_main())

    def report_red_main(self, draft: Draft, culprit: Culprit, *, why: str, revert: tuple[str, str] | None) -> Issue:
        """Say once that a commit made the target branch red, all in one transaction: an issue with the title of the
        draft, unless one is open; an event `red-main`, which counts as an escape if the commit had landed; a comment on
        the issue whose change it was.

        Args:
            why: what a person is asked to do, if there is no revert.
            revert: commit and base of a change that takes the culprit back, which is put into the queue.
        """
        with self._writing():
            open_ones = queries.issues(self._connection, queries.Filter(status="open", label=RED_MAIN), -1)
            found = next((one for one in open_ones if one.title == draft.title), None)
            issue = found or queries.issue(self._connection, self._create([draft])[0])
            if found is None:
                self._append(issue.id, "noted", {"what": RED_MAIN, "escaped": culprit.escaped, **culprit._asdict()})
                if culprit.issue and queries.exists(self._connection, culprit.issue):
                    said = f"What landed as {culprit.commit} made the target branch fail {', '.join(culprit.checks)}"
                    self._append(culprit.issue, "commented", {"text": f"{said}: see {issue.id}."})
            if revert is None:
                self._append(issue.id, "gave-up", {"reason": why})
            elif not queries.changes(self._connection, issue=issue.id):
                self._submit_revert(issue, *revert)
            return queries.issue(self._connection, issue.id)

    def need_person(self, issue: str, why: str) -> None:
        """No agent goes on with an issue: a person is asked to."""
        with self._writing():
            self._append(issue, "gave-up", {"reason": why})

    def _submit_revert(self, issue: Issue, commit: str, base: str) -> None:
        import socket  # loaded by nobody else who writes to the tracker

        self._grant(issue, self.actor, PUSH_LEASE_SECONDS)  # no agent takes it up meanwhile
        attempt = new_id()
        self._begin(issue.id, attempt, agent="revert", host=socket.gethostname(), pid=os.getpid(), pid_started=0.0)
        self._submit(issue.id, attempt, commit=commit, base=base)
        ended = {"attempt": attempt, "outcome": "stopped", "detail": "a revert by the queue", "head": None}
        self._append(issue.id, "attempt-ended", ended)
