"""The environment that an agent's program starts with: an allow-list, nothing else leaks in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapeout.base.paths import HOME_VARIABLE, REPOSITORY_VARIABLE

ATTEMPT_VARIABLE = "TAPEOUT_ATTEMPT"
"""Marks every process of an attempt, so that what it left behind can be found."""

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
"""Variables that every attempt gets from the floor's environment, besides LC_*."""

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Settings:
    """What the environment of an attempt says about it."""

    attempt: str
    issue: str
    number: int
    """1 for the first attempt on the issue."""
    tmp: str
    """Private temporary folder."""
    repository: str
    """Root of the user's repository."""
    home: str
    """Tapeout's state directory for all repositories."""
    port_base: int
    port_count: int
    pass_env: Sequence[str] = ()
    """More variables to pass on, such as an API key."""
    env: Mapping[str, str] | None = None
    """Variables to set; they win over what is passed on, not over what marks the attempt."""
    terminal: bool = False
    """Whether the program gets a terminal."""


def namespace(attempt: str) -> str:
    """A name for databases, schemas, containers that no other attempt has: letters, digits, underscores."""
    return "tapeout_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in attempt.lower())


def environment(source: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The environment of an attempt, made from the floor's own (`source`) and the settings.

    `GIT_*` is never passed on, not even by name: it would point the agent's git at another repository. A
    setting that is not in `source` is left out.
    """
    passed = {
        name: value
        for name, value in source.items()
        if (name in PASSED or name.startswith("LC_") or name in settings.pass_env) and not name.startswith("GIT_")
    }
    return {
        "PATH": DEFAULT_PATH,
        **passed,
        "TERM": "xterm-256color" if settings.terminal else "dumb",
        "TMPDIR": settings.tmp,
        **(settings.env or {}),
        ATTEMPT_VARIABLE: settings.attempt,
        "TAPEOUT_ISSUE": settings.issue,
        "TAPEOUT_ATTEMPT_NUMBER": str(settings.number),
        "TAPEOUT_NAMESPACE": namespace(settings.attempt),
        "TAPEOUT_PORT_BASE": str(settings.port_base),
        "TAPEOUT_PORT_COUNT": str(settings.port_count),
        REPOSITORY_VARIABLE: settings.repository,
        HOME_VARIABLE: settings.home,
    }
