"""Every way a command can fail, and the exit code it ends with.

The message of an error is what a user reads: one line that says what is wrong. `hint` says what to do about it.
`code` is the stable word that `--json` reports; `exit_code` is what the process ends with. Both are documented in
`docs/reference/exit-codes.md`.
"""


class TapeoutError(Exception):
    """Something failed that no more precise error describes (exit code 1)."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, details: object = None) -> None:
        """
        Args:
            message: one line that says what is wrong.
            hint: what to do about it.
            details: what a program may want to know, as JSON can say it.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


def cause_of(error: Exception) -> Exception:
    """What really happened, when a task group wrapped it."""
    while isinstance(error, ExceptionGroup):
        error = next((e for e in error.exceptions if isinstance(e, TapeoutError)), error.exceptions[0])
    return error


class UsageError(TapeoutError):
    """The command line, a file given to a command, or `tapeout.toml` is not valid (exit code 2)."""

    code = "usage"
    exit_code = 2


class NotFound(TapeoutError):
    """No issue, attempt, change or commit has that id (exit code 3)."""

    code = "not-found"
    exit_code = 3


class Conflict(TapeoutError):
    """It changed meanwhile, such as an issue that is not ready any more (exit code 4)."""

    code = "conflict"
    exit_code = 4


class NotAllowed(TapeoutError):
    """The state of the issue or the caller's rights forbid it (exit code 5)."""

    code = "not-allowed"
    exit_code = 5


class GateFailed(TapeoutError):
    """The gate ran, and its verdict is fail (exit code 6)."""

    code = "gate-failed"
    exit_code = 6


class EnvironmentProblem(TapeoutError):
    """This machine or repository cannot do it now: no git repository, full disk, missing program (exit code 7)."""

    code = "environment"
    exit_code = 7


class Busy(TapeoutError):
    """Another process holds what this one needs, such as a floor that already runs (exit code 8)."""

    code = "busy"
    exit_code = 8


class LostClaim(Conflict):
    """Somebody else holds the issue, or a lease does not count any more; `details` has `issue`, `owner` and `expires`
    of who holds it now, null for nobody (exit code 9)."""

    code = "lost-claim"
    exit_code = 9
