"""How attempts failed, and what became of their issues."""

from __future__ import annotations

from tapeout.base.lean import TYPE_CHECKING
from tapeout.tracker.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapeout.tracker.reports.failures import FailureCount, Recurrence


class FailureCommands(Store):
    """The index of failure signatures."""

    def failure_counts(self, limit: int = -1) -> list[FailureCount]:
        """Ways of failing, those of the most issues first.

        Args:
            limit: how many; negative means all.
        """
        from tapeout.tracker.reports import failures

        with self._reading() as connection:
            return failures.failure_counts(connection, limit)

    def failure_signature(self, prefix: str) -> str:
        """The full id of a failure signature.

        Raises:
            NotFound: nothing failed that way.
            UsageError: several do.
        """
        from tapeout.tracker.reports import failures

        with self._reading() as connection:
            return failures.full_signature(connection, prefix)

    def recurrences(
        self, signatures: Sequence[str], limit: int = -1, *, besides: str = "", landed: bool = False
    ) -> list[Recurrence]:
        """Attempts that failed in one of these ways, the newest first; see `tapeout.tracker.reports.failures`."""
        from tapeout.tracker.reports import failures

        with self._reading() as connection:
            return failures.recurrences(connection, signatures, limit, besides=besides, landed=landed)
