"""Who calls: a person, an agent of the floor at its work, or anybody who gives a name."""

import os

from tapeout.base.errors import NotAllowed
from tapeout.base.paths import REPOSITORY_VARIABLE

ACTOR_VARIABLE = "TAPEOUT_ACTOR"
ATTEMPT_VARIABLE = "TAPEOUT_ATTEMPT"

AGENT = "agent:"
"""What the name of a writer begins with who is the agent of an attempt."""


def actor() -> str:
    """Who writes: the attempt, inside a worker; `$TAPEOUT_ACTOR`; else the user."""
    attempt = os.environ.get(ATTEMPT_VARIABLE)
    if attempt:
        return f"{AGENT}{attempt}"
    return os.environ.get(ACTOR_VARIABLE) or os.environ.get("USER") or f"uid{os.getuid()}"


def is_agent_at_work() -> bool:
    """Whether we were called by the agent of an attempt, in its repository."""
    return bool(os.environ.get(ATTEMPT_VARIABLE) and os.environ.get(REPOSITORY_VARIABLE))


def refuse_agents() -> None:
    """Keep an agent from what decides about its own work and that of others: nobody's word closes an issue.

    In a sandbox an agent cannot change the environment that this looks at (`floor/door`); without one it stops an
    eager agent, not a hostile one.

    Raises:
        NotAllowed: we were called by the agent of an attempt, in its repository.
    """
    if is_agent_at_work():
        raise NotAllowed("this command is for people, not for agents at work", hint="say it in a comment on the issue")
