"""Running one check's command in a sandbox, with a home and a folder for temporary files of its own and a clean
environment.

What the command prints goes through a pipe to us; logs and evidence are written by us, where no check can write.
"""

import os
import re
import signal

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured
from tapeout.base.sandbox import Confined, run_confined
from tapeout.base.sandbox.usage import size
from tapeout.config import CheckConfig, Config
from tapeout.gate.confine import SCRATCH, policy_for, sandbox_for, watch_for
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.judge import NOT_EXECUTABLE, NOT_FOUND
from tapeout.gate.runs import RUN_VARIABLE, remove_tree

KEEP_BYTES = 4 * 1024 * 1024
"""How much of a check's output is kept: head and tail."""

_TOO_LARGE = {-signal.SIGXFSZ, 128 + signal.SIGXFSZ}

_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Could not resolve host|getaddrinfo"
    r"|EAI_AGAIN|ENOTFOUND|Network is unreachable|ENETUNREACH|dial tcp: lookup",
    re.IGNORECASE,
)


def execute(check: CheckConfig, config: Config, checkout: str, *, run: str, folder: str) -> Captured:
    """Run a check's command in a checkout, and end whatever it leaves running.

    Args:
        checkout: the folder in which it runs.
        run: id of the gate run.
        folder: the run's private folder, in which it gets its home and its temporary files.

    Raises:
        GateUnavailable: this machine cannot run it.
    """
    for name in ("home", "tmp", SCRATCH):
        remove_tree(os.path.join(folder, name))
        os.mkdir(os.path.join(folder, name), 0o700)
    try:
        return _explained(check, _run(check, config, checkout, run=run, folder=folder))
    except EnvironmentProblem as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            # The same as a shell says, so that the base decides whose fault it is.
            code = NOT_FOUND if isinstance(error.__cause__, FileNotFoundError) else NOT_EXECUTABLE
            return Captured(code, error.message, 0, 0.0, False, 0)
        raise GateUnavailable(f"check {check.name}: {error.message}", hint=error.hint) from error


def _run(check: CheckConfig, config: Config, checkout: str, *, run: str, folder: str) -> Captured:
    env = check_environment(config, run, folder)
    policy = policy_for(check, config, checkout, folder=folder, env=env)
    captured = run_confined(
        Confined(sandbox_for(config), policy),
        check.argv,
        cwd=checkout,
        env=env,
        timeout=check.timeout,
        keep=KEEP_BYTES,
        watch=watch_for(policy.limits, folder),
    )
    if captured.exit_code in _TOO_LARGE and policy.limits.file_size is not None:
        allowed = size(policy.limits.file_size)
        return captured._replace(stopped=f"was killed for writing a file of over {allowed}")
    return captured


def _explained(check: CheckConfig, captured: Captured) -> Captured:
    """With a last line that says why, where it looks as if the network was missing."""
    if captured.exit_code in {0, None} or check.network or not _NO_NETWORK.search(captured.output):
        return captured
    advice = f"this check has no network: if it needs one, say `network = true` in the [[check]] {check.name}"
    return captured._replace(output=f"{captured.output.rstrip()}\n{advice}\n")


def check_environment(config: Config, run: str, folder: str) -> dict[str, str]:
    """The environment of a check: nothing of the floor's own but what a program needs and the configuration names."""
    passed_on = {name: os.environ[name] for name in config.gate.pass_env if name in os.environ}
    return {
        "PATH": _absolute(os.environ.get("PATH", os.defpath)),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": os.path.join(folder, "home"),
        "TMPDIR": os.path.join(folder, "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **passed_on,
        RUN_VARIABLE: run,
    }


def _absolute(path: str) -> str:
    """A PATH without entries that mean the current folder, where a change could put programs of its own."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry)) or os.defpath
