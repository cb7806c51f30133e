"""A circuit breaker for a provider. Pure.

*Closed*: attempts are started. *Open*: none is, until a time that the provider stated or that backoff drew; after an
error that waiting does not mend, until a person acts. *Half-open*: the time has passed, and one attempt at a time tries
whether it is to be had. The pattern is that of Michael Nygard, "Release It!", 2007, chapter 5.
"""

from dataclasses import dataclass, replace
from typing import Literal

from tapeout.floor.providers.backoff import full_jitter

Kind = Literal["usage-limit", "overloaded", "network", "auth"]
"""What keeps a provider from answering."""

State = Literal["closed", "open", "half-open"]

FAILURES_TO_OPEN = 3
"""Failures in a row after which a provider that stated no time is paused: one dropped stream is no outage."""

BASE_SECONDS = 30.0
"""Longest pause after the first failures."""

CAP_SECONDS = 1800.0
"""Longest pause that is drawn: then it is tried again."""

HEARSAY_SECONDS = 900.0
"""Longest pause on the word of an agent, where no protocol tells an error: a text may say anything."""

LONGEST_SECONDS = 32 * 86400.0
"""Longest pause that a provider may state: the longest limits are monthly."""

RESET_JITTER = 20.0
"""Seconds over which floors spread that wait for the same reset."""


@dataclass(frozen=True)
class Trouble:
    """A provider did not answer."""

    kind: Kind
    message: str
    """What was said, one line."""
    resets_at: float | None = None
    """Unix time at which it says that it will."""
    hearsay: bool = False
    """Whether only the agent's text tells it."""


@dataclass(frozen=True)
class Circuit:
    """What is known of a provider."""

    failures: int = 0
    """In a row."""
    opened_at: float = 0.0
    """Unix time at which it was paused last; 0: it is not."""
    until: float | None = 0.0
    """Unix time at which the pause ends; None: when a person acts."""
    stated: bool = False
    """Whether the provider itself stated that time."""
    kind: str = ""
    reason: str = ""

    def state(self, now: float) -> State:
        """Its state at a Unix time. A pause from the future was made by a clock that has been set back since, and would
        else last too long: it does not count any more."""
        if not self.opened_at:
            return "closed"
        if self.until is None:
            return "open"
        return "open" if self.opened_at <= now < self.until else "half-open"


CLOSED = Circuit()


def failed(circuit: Circuit, trouble: Trouble, now: float, draw: float) -> Circuit:
    """After a session found the provider not to be had.

    Args:
        now: Unix time.
        draw: a random number from 0 up to 1, for backoff and jitter.
    """
    state = circuit.state(now)
    if trouble.kind == "auth" and not trouble.hearsay:
        return _open(circuit, trouble, now, None)
    stated = trouble.resets_at if trouble.resets_at is not None and trouble.resets_at > now else None
    if state == "open":  # sessions that were under way find out what is known; a later time counts
        later = stated is not None and circuit.until is not None and _ends(trouble, now, stated, draw) > circuit.until
        return _open(circuit, trouble, now, _ends(trouble, now, stated or now, draw), stated=True) if later else circuit
    failures = circuit.failures + 1
    counted = replace(circuit, failures=failures)
    if stated is not None:
        return _open(counted, trouble, now, _ends(trouble, now, stated, draw), stated=True)
    at_once = trouble.kind == "usage-limit" and not trouble.hearsay
    if state == "half-open" or at_once or failures >= FAILURES_TO_OPEN:
        rounds = max(1, failures - FAILURES_TO_OPEN + 1)
        longest = HEARSAY_SECONDS if trouble.hearsay else CAP_SECONDS
        return _open(counted, trouble, now, now + full_jitter(rounds, draw, base=BASE_SECONDS, cap=longest))
    return counted


def succeeded(circuit: Circuit, now: float) -> Circuit:
    """After the provider answered. What it stated itself holds on: an answer to a session that was under way says
    nothing about the next one."""
    if circuit.state(now) == "open" and (circuit.stated or circuit.until is None):
        return circuit
    return CLOSED


def tried_again(circuit: Circuit, now: float) -> Circuit:
    """After a person started the floor: what waited for a person is tried once."""
    return resumed(circuit, now) if circuit.until is None else circuit


def resumed(circuit: Circuit, now: float) -> Circuit:
    """After a person said that the provider is to be tried now."""
    return replace(circuit, until=now, stated=False) if circuit.state(now) == "open" else circuit


def _ends(trouble: Trouble, now: float, stated: float, draw: float) -> float:
    longest = HEARSAY_SECONDS if trouble.hearsay else LONGEST_SECONDS
    return min(stated, now + longest) + draw * RESET_JITTER


def _open(circuit: Circuit, trouble: Trouble, now: float, until: float | None, *, stated: bool = False) -> Circuit:
    return Circuit(max(circuit.failures, 1), now, until, stated, trouble.kind, trouble.message)
