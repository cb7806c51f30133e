"""The circuits of this machine's floor: one setting of the index, so that a floor that starts again hammers nobody."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tapeout.base.errors import NotFound
from tapeout.floor.providers.circuit import CLOSED, Circuit, Trouble, failed, resumed, succeeded, tried_again
from tapeout.tracker import Tracker
from tapeout.tracker.model import PROVIDERS


@dataclass(frozen=True)
class Pause:
    """A provider that is not to be had."""

    provider: str
    until: float | None
    """Unix time at which it is tried again; None: when a person acts."""
    kind: str
    reason: str


def read_circuits(tracker: Tracker) -> dict[str, Circuit]:
    """Provider to what is known of it; those that are not named are closed."""
    return _parse(tracker.setting(PROVIDERS))


def read_pauses(tracker: Tracker, now: float) -> tuple[Pause, ...]:
    """The providers that are paused at a Unix time."""
    return tuple(
        Pause(name, one.until, one.kind, one.reason)
        for name, one in sorted(read_circuits(tracker).items())
        if one.state(now) == "open"
    )


def note_trouble(tracker: Tracker, provider: str, trouble: Trouble) -> Circuit:
    """A session found the provider not to be had; what is known of it now."""
    now, draw = time.time(), random.random()  # noqa: S311 - to spread those who wait
    before = read_circuits(tracker).get(provider, CLOSED).state(now)
    circuit = _revise(tracker, provider, lambda one: failed(one, trouble, now, draw))
    if circuit.state(now) == "open" and before != "open":
        until = {} if circuit.until is None else {"until": round(circuit.until)}
        tracker.record("provider-paused", {"provider": provider, **until, "reason": circuit.reason})
    return circuit


def note_answer(tracker: Tracker, provider: str) -> None:
    """The provider answered."""
    circuit = read_circuits(tracker).get(provider, CLOSED)
    now = time.time()
    if succeeded(circuit, now) == circuit:
        return
    _revise(tracker, provider, lambda one: succeeded(one, now))
    if circuit.opened_at:
        tracker.record("provider-back", {"provider": provider})


def try_again(tracker: Tracker) -> None:
    """A person started the floor: what waited for a person is tried once more."""
    now = time.time()
    for name, circuit in read_circuits(tracker).items():
        if tried_again(circuit, now) != circuit:
            _revise(tracker, name, lambda one: tried_again(one, now))


def resume_provider(tracker: Tracker, provider: str) -> None:
    """A person knows better than what the provider, or an agent in its name, has said: it is tried now.

    Raises:
        NotFound: it is not paused.
    """
    now = time.time()
    paused = [pause.provider for pause in read_pauses(tracker, now)]
    if provider not in paused:
        raise NotFound(f"there is no paused provider {provider!r}", hint=f"paused are: {', '.join(paused) or 'none'}")
    _revise(tracker, provider, lambda one: resumed(one, now))
    tracker.record("provider-resumed", {"provider": provider})


def _revise(tracker: Tracker, provider: str, change: Callable[[Circuit], Circuit]) -> Circuit:
    """Change one circuit, with nobody else writing in between."""
    changed = CLOSED

    def revise(text: str) -> str:
        nonlocal changed
        circuits = _parse(text)
        changed = circuits[provider] = change(circuits.get(provider, CLOSED))
        kept = {name: asdict(one) for name, one in circuits.items() if one != CLOSED}
        return json.dumps(kept, sort_keys=True) if kept else ""

    tracker.revise_setting(PROVIDERS, revise)
    return changed


def _parse(text: str) -> dict[str, Circuit]:
    try:
        return {str(name): Circuit(**fields) for name, fields in json.loads(text or "{}").items()}
    except (AttributeError, TypeError, ValueError):  # written by another version: nothing is known
        return {}
