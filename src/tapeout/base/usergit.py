"""The git program in the user's own repository: for its work trees and its remotes, which only git itself knows.

No hook runs, nothing is asked on a terminal, and variables such as GIT_DIR that we were started with have no effect.
"""

import os
from collections.abc import Mapping, Sequence

from tapeout.base.processes import Captured, run_captured, run_trusted

_OPTIONS = (
    "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsmonitor=false",
    "-c", "advice.diverging=false",
)  # fmt: skip
_SCRUBBED = ("GIT_", "LANG", "LC_", "LANGUAGE")
_KEPT = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})


def user_git(
    folder: str,
    *arguments: str,
    timeout: float = 120.0,
    settings: Sequence[tuple[str, str]] = (),
    variables: Mapping[str, str] | None = None,
    trusted: bool = False,
) -> Captured:
    """Run git in `folder` for at most `timeout` seconds.

    Args:
        trusted: nothing of the repository is run, such as filters: what git leaves running, a daemon that keeps a
            login or a connection, may stay.
        variables: more environment variables for this run.
        settings: git configuration for this run, by full key; it may hold secrets, so it is in no argument list.

    Raises:
        EnvironmentProblem: git is missing, or the folder.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SCRUBBED) or name in _KEPT}
    env = {
        **inherited,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_EDITOR": "true",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    env |= variables or {}
    argv = ["git", *_OPTIONS, *arguments]
    if trusted:
        return run_trusted(argv, cwd=folder, env=env, timeout=timeout)
    return run_captured(argv, cwd=folder, env=env, timeout=timeout, keep=1_000_000)


def complaint(captured: Captured) -> str:
    """What git said, in one line."""
    if captured.timed_out:
        return f"git did not end within {captured.seconds:.0f} s"
    lines = [line.strip() for line in captured.output.splitlines() if line.strip()]
    wanted = [line for line in lines if line.startswith(("error:", "fatal:", "remote:", "!"))]
    return " ".join(wanted or lines)[:300] or f"git ended with exit code {captured.exit_code}"
