"""What a person allows the changes of one issue, which the gate refuses to others."""

from __future__ import annotations

from tapeout.base.caller import AGENT
from tapeout.base.errors import UsageError
from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker import log, queries
from tapeout.tracker.fields import MAX_TITLE
from tapeout.tracker.model import PERMISSIONS
from tapeout.tracker.store import Store, checked_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tapeout.tracker.operations import Operation


class PermissionCommands(Store):
    """Permissions of issues. Each is an event of the log, so that it travels with the issue and says who gave it."""

    def allow(self, prefix: str, permissions: Iterable[str], note: str = "") -> frozenset[str]:
        """Allow the changes of an issue what the gate refuses otherwise; returns all that is allowed to them now.

        Args:
            permissions: some of `PERMISSIONS`.
            note: why.

        Raises:
            UsageError: there is no such permission.
        """
        return self._decide("allowed", prefix, permissions, note)

    def forbid(self, prefix: str, permissions: Iterable[str], note: str = "") -> frozenset[str]:
        """Take permissions back; as `allow`."""
        return self._decide("forbidden", prefix, permissions, note)

    def permissions(self, prefix: str) -> frozenset[str]:
        """What a person has allowed the changes of an issue."""
        with self._reading() as connection:
            identity = queries.resolve(connection, prefix)
            return _folded(log.operations_of(connection, identity))

    def _decide(self, what: str, prefix: str, permissions: Iterable[str], note: str) -> frozenset[str]:
        names = [_checked(name) for name in dict.fromkeys(permissions)]
        reason = " ".join(checked_text(note, "note").split())
        if len(reason) > MAX_TITLE:
            raise UsageError(f"the note is {len(reason)} characters long, {MAX_TITLE} is the most")
        with self._writing():
            identity = queries.resolve(self._connection, prefix)
            data = {"what": what, "permissions": names} | ({"note": reason} if reason else {})
            self._append(identity, "noted", data)
            return _folded(log.operations_of(self._connection, identity))


def _checked(name: str) -> str:
    if name not in PERMISSIONS:
        raise UsageError(f"{name!r} is no permission", hint=f"permissions are {', '.join(PERMISSIONS)}")
    return name


def _folded(operations: Sequence[Operation]) -> frozenset[str]:
    """What is allowed after these operations of one issue. What an agent wrote allows nothing. Pure."""
    allowed: frozenset[str] = frozenset()
    for operation in operations:
        what = operation.data.get("what") if operation.kind == "noted" else None
        if what in ("allowed", "forbidden") and not operation.actor.startswith(AGENT):
            names = operation.data.get("permissions")
            known = [one for one in PERMISSIONS if isinstance(names, list) and one in names]
            allowed = allowed.union(known) if what == "allowed" else allowed.difference(known)
    return allowed
