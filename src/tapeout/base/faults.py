"""Points at which a test can kill the process: how the law "kill anything at any moment" is proven.

`TAPEOUT_CRASH_AT=landing.moved` kills the process with SIGKILL the first time that it reaches that point;
`landing.moved:3` the third time. With `TAPEOUT_CRASH_ONCE=FILE` only the first process to get there dies: it creates
the file. Unset, which is always the case outside tests, a point costs one look-up.
"""

import os
import signal

CRASH_VARIABLE = "TAPEOUT_CRASH_AT"
ONCE_VARIABLE = "TAPEOUT_CRASH_ONCE"

_hits: dict[str, int] = {}


def point(name: str) -> None:
    """Die here if the environment says so."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if wanted is None:
        return
    target, _, count = wanted.partition(":")
    if target != name:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if _hits[name] == int(count or 1) and _is_first(os.environ.get(ONCE_VARIABLE)):
        os.kill(os.getpid(), signal.SIGKILL)


def _is_first(file: str | None) -> bool:
    if file is None:
        return True
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
