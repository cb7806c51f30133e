"""What the lander is doing, for whoever asks: a small file in the state directory that it replaces at every decision.

Nothing depends on it: it may be missing, old or torn, and then nothing is known to run.
"""

import contextlib
import json
import os
from typing import Any

from tapeout.base.paths import StatePaths


def write_view(paths: StatePaths, view: dict[str, Any] | None) -> None:
    """Replace what is shown; None: nothing runs any more."""
    path = _file(paths)
    with contextlib.suppress(OSError):
        if view is None:
            os.unlink(path)
            return
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(view, file)
        os.replace(path + ".new", path)


def read_view(paths: StatePaths) -> dict[str, Any] | None:
    """What the lander is doing now; None if no lander works."""
    try:
        with open(_file(paths), encoding="utf-8") as file:
            found = json.load(file)
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _file(paths: StatePaths) -> str:
    return os.path.join(paths.root, "queue.json")
