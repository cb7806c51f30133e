"""Ending in order when asked to: SIGTERM becomes an exit that `finally` blocks and context managers see.

What may go wrong: the signal meets a callback that Python runs for itself (at a fork, in a finaliser). Python prints
what such a callback raises, and goes on as if nothing was: here it prints nothing, and the request is made again.
"""

import signal
import sys
from types import FrameType

AGAIN_SECONDS = 0.02
"""Such a callback takes microseconds."""

_EXIT_CODE = 128 + signal.SIGTERM


def leave_when_asked() -> None:
    """From now on SIGTERM raises `SystemExit` with the exit code that shells give it. Uses SIGALRM for itself."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, _leave)
    sys.unraisablehook = _not_lost


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(_EXIT_CODE)


def _not_lost(unraisable: "sys.UnraisableHookArgs") -> None:
    if isinstance(unraisable.exc_value, SystemExit):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(unraisable)
