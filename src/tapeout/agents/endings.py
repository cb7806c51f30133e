"""How an agent's process ended, in words for a message."""

import signal

from tapeout.agents.process import AgentProcess
from tapeout.agents.render import plain

STDERR_LINES = 5
"""Last lines of standard error quoted in a message."""


def how_it_ended(returncode: int | None) -> str:
    """Such as "was killed by SIGKILL"."""
    if returncode is not None and returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"was killed by {name}"
    return f"ended with exit code {returncode}"


def last_words(process: AgentProcess) -> str:
    """The end of its standard error, to follow a message; empty if there is none."""
    lines = [line.strip() for line in plain(process.stderr()).splitlines() if line.strip()]
    return ": " + " | ".join(lines[-STDERR_LINES:]) if lines else ""
