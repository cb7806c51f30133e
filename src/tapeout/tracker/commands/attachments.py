"""Files that belong to issues. The content is a blob of the tracker's git repository, named in the operation; the batch
of the log that brings the operation to git holds the blob too, so it travels and stays.
"""

from __future__ import annotations

from tapeout.base.errors import EnvironmentProblem, NotAllowed, NotFound, UsageError
from tapeout.tracker import blobs, queries
from tapeout.tracker.model import Attachment
from tapeout.tracker.store import Store

MAX_ATTACHMENT_BYTES = 25_000_000
"""Largest attachment: every clone of the tracker gets all of them."""

MAX_NAME_BYTES = 200


class AttachmentCommands(Store):
    """Attach, read and detach files."""

    def attach(self, prefix: str, name: str, content: bytes) -> Attachment:
        """Attach a file to an issue.

        Args:
            name: what it is called on the issue; `safe_name` is applied to it.

        Raises:
            UsageError: it is too large.
            NotAllowed: the issue has an attachment of that name.
            EnvironmentProblem: git cannot be written, such as on a full disk; then nothing is attached.
        """
        if len(content) > MAX_ATTACHMENT_BYTES:
            raise UsageError(f"{name} has {len(content):,} bytes, {MAX_ATTACHMENT_BYTES:,} is the most")
        name = safe_name(name)
        with self._reading() as connection:
            _refuse_same_name(queries.attachments(connection, queries.resolve(connection, prefix)), name)
        blob = blobs.write(self.paths, content)
        with self._writing():
            identity = queries.resolve(self._connection, prefix)
            _refuse_same_name(queries.attachments(self._connection, identity), name)
            made = self._append(identity, "attached", {"name": name, "blob": blob, "size": len(content)})
            return Attachment(made.id, identity, name, blob, len(content), made.actor, made.at)

    def attachment(self, prefix: str, which: str) -> Attachment:
        """One attachment of an issue, by its name or by its number in the list, from 1.

        Raises:
            NotFound: there is none.
            UsageError: several have that name, after a merge of clones.
        """
        with self._reading() as connection:
            return chosen(queries.attachments(connection, queries.resolve(connection, prefix)), which)

    def attachment_content(self, attachment: Attachment) -> bytes:
        """The content of an attachment.

        Raises:
            EnvironmentProblem: git does not hold it, or something else.
        """
        what = f"the content of {attachment.name} ({attachment.blob}) on {attachment.issue}"
        found = blobs.read(self.paths, attachment.blob)
        if found is None:
            hint = "it comes with the log of the clone that attached it; nothing else is affected"
            raise EnvironmentProblem(f"{what} is missing in {self.paths.tracker_git}", hint=hint)
        if len(found) != attachment.size:
            raise EnvironmentProblem(f"{what} is not what was attached", hint="attach the file again")
        return found

    def detach(self, prefix: str, which: str) -> Attachment:
        """Take an attachment from an issue, by its name or number. Its content stays in git's history."""
        with self._writing():
            identity = queries.resolve(self._connection, prefix)
            attachment = chosen(queries.attachments(self._connection, identity), which)
            self._append(identity, "detached", {"attachment": attachment.id, "name": attachment.name})
            return attachment


def chosen(attachments: list[Attachment], which: str) -> Attachment:
    """The attachment that is called `which`, or the one with that number, from 1.

    Raises:
        NotFound: there is none.
        UsageError: several have that name.
    """
    numbers = [number for number, one in enumerate(attachments, start=1) if one.name == which]
    if len(numbers) > 1:
        found = ", ".join(map(str, numbers))
        raise UsageError(f"{len(numbers)} attachments are called {which!r}", hint=f"give its number: {found}")
    if numbers:
        return attachments[numbers[0] - 1]
    if which.isascii() and which.isdecimal() and 1 <= int(which[:9]) <= len(attachments):
        return attachments[int(which) - 1]
    hint = "`tapeout issue attachments ID` lists them" if attachments else "the issue has no attachments"
    raise NotFound(f"there is no attachment {which!r}", hint=hint)


def safe_name(name: str) -> str:
    """A file's name without folders, control characters and leading dots and dashes: it can only mean one visible file
    of the folder that it is written to. Names in the logs of other clones are nobody's promise: apply it when reading
    too."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else "_" for c in last).strip()
    plain = plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore").lstrip("-. ")
    return plain or "attachment"


def _refuse_same_name(attachments: list[Attachment], name: str) -> None:
    if any(one.name == name for one in attachments):
        raise NotAllowed(f"there is an attachment {name!r} already", hint="give --name, or detach that one first")
