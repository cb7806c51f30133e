"""Points at which a test can kill the process: how the law "kill anything at any moment" is proven.

`TAPEOUT_CRASH_AT=landing.moved` kills the process with SIGKILL the first time that it reaches that point;
`landing.moved:3` the third time. Unset, which is always the case outside tests, a point costs one look-up.
"""

import os
import signal

CRASH_VARIABLE = "TAPEOUT_CRASH_AT"

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
    if _hits[name] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
