"""What to answer an agent that offers options. Pure functions."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Decision = Literal["allow", "deny"]
"""An answer to one request."""

Permissions = Literal["allow", "deny", "ask"]
"""How permission requests are answered: at once, or by whoever `OnPermission` asks."""

PARK_SECONDS = 600.0
"""How long a parked request waits for its answer before it is denied."""


@dataclass(frozen=True)
class Question:
    """What an agent wants to be allowed."""

    title: str
    """What it wants to do; untrusted text without control characters, at most 1,000 characters."""
    options: tuple[tuple[str, str], ...]
    """The kind and the words of each answer that it offers."""


OnPermission = Callable[[Question], Awaitable[Decision | None]]
"""Asks somebody; None leaves the answer to the default, which is to deny."""


@dataclass(frozen=True)
class PermissionPolicy:
    """Who answers permission requests."""

    permissions: Permissions
    ask: OnPermission | None = None
    """For "ask"."""
    seconds: float = PARK_SECONDS


_ACCEPTED = {
    "allow": ("allow_always", "allow_once"),
    "deny": ("reject_once", "reject_always"),
}


def choose_option(
    options: Sequence[tuple[str, str]], decision: Decision, *, once: bool = False
) -> tuple[str, str] | None:
    """The option (id, kind) that answers a permission request, or None: then the request is cancelled.

    Allowing always saves further questions; rejecting once leaves the agent free to try another way. `once`: what was
    decided about this request holds for no other, if the agent offers that.
    """
    for kind in sorted(_ACCEPTED[decision], key=lambda kind: once and not kind.endswith("_once")):
        for option in options:
            if option[1] == kind:
                return option
    return None


def choose_mode(wanted: Sequence[str], offered: Sequence[str], current: str) -> tuple[str | None, str | None]:
    """The session mode to switch to (None: stay), and what to tell about it (None: nothing).

    The first wanted mode that is offered wins. An agent that offers none of them keeps its mode.
    """
    if not wanted or current in wanted[:1]:
        return None, None
    for mode in wanted:
        if mode in offered:
            return (None if mode == current else mode), None
    names = ", ".join(offered) or "no modes"
    stays = f"it stays in {current}" if current else "it keeps its own way"
    return None, f"the agent does not offer mode {' or '.join(wanted)} (it offers {names}); {stays}"
