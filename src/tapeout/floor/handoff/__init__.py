"""Handoffs: what one session leaves to the next one on the same issue.

`model` is what a handoff says and how it is read from an agent's answer, `verifying` holds it against git, `compiling`
makes one without the agent, `reading` gets what both need from the hub, the tracker and the transcript, `wording` is
what agents are told, `leaving` puts it together.

A handoff is the word of an untrusted program. What it names has to be real; what cannot be checked is kept apart from
our own words when the next session reads it.
"""

from tapeout.floor.handoff.model import HANDOFF, Handoff, read_handoff
from tapeout.floor.handoff.wording import handoff_lines, handoff_request

__all__ = ["HANDOFF", "Handoff", "handoff_lines", "handoff_request", "read_handoff"]
