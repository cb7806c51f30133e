"""Which checks were ever seen red: in a proof, or when they refused a change.

A file of the state directory, by what the check is: its name, kind and command. Another command is another check, and
unproven. What may go wrong: the file is lost or unreadable. Then every check counts as unproven until it is red again.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence

from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import StatePaths
from tapeout.config import CheckConfig
from tapeout.gate.hub import hub_branch
from tapeout.gate.target import load_config
from tapeout.gate.verdict import CheckResult

_KEPT = 1_000
"""Most checks that are remembered: commands that are not used any more make room."""


def is_red(result: CheckResult) -> bool:
    """Whether the check said that something is wrong. One that was cut off or could not run has said nothing."""
    said = result.exit_code is not None and 0 <= result.exit_code < 126
    return said and not result.passed and not result.inconclusive


def note_red(paths: StatePaths, checks: Sequence[CheckConfig], results: Iterable[CheckResult]) -> None:
    """Remember those of the results that are red."""
    red = {result.name for result in results if is_red(result)}
    names = [identity(check) for check in checks if check.name in red]
    if not names or set(names) <= _load(paths).keys():
        return
    known = _load(paths) | dict.fromkeys(names, time.time())
    kept = sorted(known.items(), key=lambda item: item[1])[-_KEPT:]
    temporary = f"{_file(paths)}.{os.getpid()}"  # of two at once one is forgotten until it is red again
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(kept), file)
    os.replace(temporary, _file(paths))


def unproven(paths: StatePaths, checks: Sequence[CheckConfig]) -> list[str]:
    """Names of the checks that were never seen red."""
    known = _load(paths)
    return [check.name for check in checks if identity(check) not in known]


def identity(check: CheckConfig) -> str:
    """What makes it this check and no other."""
    return hashlib.sha256(json.dumps([check.name, check.kind, check.run]).encode()).hexdigest()[:32]


def _file(paths: StatePaths) -> str:
    return os.path.join(paths.root, "red.json")


def _load(paths: StatePaths) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError), open(_file(paths), encoding="utf-8") as file:
        found = json.load(file)
        if isinstance(found, dict):
            return {name: at for name, at in found.items() if isinstance(at, int | float)}
    return {}


def unproven_checks(paths: StatePaths) -> list[str]:
    """Names of the target branch's checks that were never seen red.

    Raises:
        TapeoutError: there is no hub, or its target branch has no valid configuration.
    """
    hub = open_bare(paths.hub)
    main = resolve(hub, f"refs/heads/{hub_branch(hub)}")
    return unproven(paths, load_config(hub, main).check) if main else []
