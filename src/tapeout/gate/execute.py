"""Running one check's command, in a home and a folder for temporary files of its own and a clean environment."""

import os

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured, run_captured
from tapeout.config import CheckConfig, Config
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.judge import NOT_EXECUTABLE, NOT_FOUND
from tapeout.gate.runs import RUN_VARIABLE, remove_tree

KEEP_BYTES = 4 * 1024 * 1024
"""How much of a check's output is kept: head and tail."""


def execute(check: CheckConfig, config: Config, checkout: str, *, run: str, folder: str) -> Captured:
    """Run a check's command in a checkout, and end whatever it leaves running.

    Args:
        checkout: the folder in which it runs.
        run: id of the gate run.
        folder: the run's private folder, in which it gets its home and its temporary files.

    Raises:
        GateUnavailable: this machine cannot run it.
    """
    for name in ("home", "tmp"):
        remove_tree(os.path.join(folder, name))
        os.mkdir(os.path.join(folder, name), 0o700)
    try:
        return run_captured(
            check.argv,
            cwd=checkout,
            env=check_environment(config, run, folder),
            timeout=check.timeout,
            keep=KEEP_BYTES,
        )
    except EnvironmentProblem as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            # The same as a shell says, so that the base decides whose fault it is.
            code = NOT_FOUND if isinstance(error.__cause__, FileNotFoundError) else NOT_EXECUTABLE
            return Captured(code, error.message, 0, 0.0, False, 0)
        raise GateUnavailable(f"check {check.name}: {error.message}", hint=error.hint) from error


def check_environment(config: Config, run: str, folder: str) -> dict[str, str]:
    """The environment of a check: nothing of the floor's own but what a program needs and the configuration names."""
    passed_on = {name: os.environ[name] for name in config.gate.pass_env if name in os.environ}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": os.path.join(folder, "home"),
        "TMPDIR": os.path.join(folder, "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **passed_on,
        RUN_VARIABLE: run,
    }
