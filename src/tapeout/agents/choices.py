"""What to answer an agent that offers options. Pure functions."""

from collections.abc import Sequence
from typing import Literal

Permissions = Literal["allow", "deny"]
"""How permission requests are answered."""

_ACCEPTED = {
    "allow": ("allow_always", "allow_once"),
    "deny": ("reject_once", "reject_always"),
}


def choose_option(options: Sequence[tuple[str, str]], permissions: Permissions) -> tuple[str, str] | None:
    """The option (id, kind) that answers a permission request, or None: then the request is cancelled.

    Allowing always saves further questions; rejecting once leaves the agent free to try another way.
    """
    for kind in _ACCEPTED[permissions]:
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
