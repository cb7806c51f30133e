"""Whether an attempt may be started, and by which agent: fallback chains, the limits of providers, budgets. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tapeout.config import Config, FloorConfig, ProviderConfig
from tapeout.floor.lanes import lane_of
from tapeout.floor.policy import agents_left
from tapeout.floor.providers.circuit import Circuit
from tapeout.tracker.model import Attempt, Issue

MINUTE = 60.0

ANY_NUMBER = 1_000_000


@dataclass(frozen=True)
class Start:
    """A worker to start."""

    issue: Issue
    agent: str
    lane: str = ""


@dataclass(frozen=True)
class Room:
    """How many more attempts may be started."""

    free: int = ANY_NUMBER
    later: float | None = None
    """Seconds until time alone makes room for more; None if it does not."""


@dataclass(frozen=True)
class Admission:
    """What keeps attempts from being started, at one moment."""

    usual: Sequence[str] = ("",)
    """Agents for issues that `choices` does not name."""
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Issue to the agents that may take it, best first."""
    lanes: Mapping[str, str] = field(default_factory=dict)
    """Issue to its lane."""
    providers: Mapping[str, str] = field(default_factory=dict)
    """Agent to its provider; by default it is its own."""
    rooms: Mapping[str, Room] = field(default_factory=dict)
    """Provider to how many it may serve; any number by default."""
    lane_rooms: Mapping[str, Room] = field(default_factory=dict)
    """As much for lanes, by their budgets."""
    whole: Room = Room()
    """As much for the floor, by its budget and its limit an hour."""


UNHINDERED = Admission()


class Doorkeeper:
    """Admits attempts one after the other; each takes from the room that there is."""

    def __init__(self, admission: Admission) -> None:
        self._now = admission
        self._taken: dict[tuple[str, str], int] = {}

    def agent_for(self, issue: Issue) -> str | None:
        """The agent that can take an issue now, or None."""
        return next((agent for agent in self._agents(issue) if self._has_room(issue, agent)), None)

    def take(self, issue: Issue, agent: str) -> Start:
        """Start it."""
        for place, _ in self._rooms(issue, agent):
            self._taken[place] = self._taken.get(place, 0) + 1
        return Start(issue, agent, self._now.lanes.get(issue.id, ""))

    def later(self, issue: Issue) -> float | None:
        """Seconds until time alone lets the issue be started; None if it does not."""
        waits = []
        for agent in self._agents(issue):
            lacking = [room.later for place, room in self._rooms(issue, agent) if not self._left(place, room)]
            if None not in lacking:
                waits.append(max((one for one in lacking if one is not None), default=0.0))
        return min(waits, default=None)

    def _agents(self, issue: Issue) -> Sequence[str]:
        return self._now.choices.get(issue.id, self._now.usual)

    def _has_room(self, issue: Issue, agent: str) -> bool:
        return all(self._left(place, room) for place, room in self._rooms(issue, agent))

    def _left(self, place: tuple[str, str], room: Room) -> bool:
        return room.free > self._taken.get(place, 0)

    def _rooms(self, issue: Issue, agent: str) -> list[tuple[tuple[str, str], Room]]:
        now = self._now
        provider, lane = now.providers.get(agent, agent), now.lanes.get(issue.id, "")
        return [
            (("floor", ""), now.whole),
            (("lane", lane), now.lane_rooms.get(lane, Room())),
            (("provider", provider), now.rooms.get(provider, Room())),
        ]


def agent_chain(issue: Issue, config: Config, usual: Sequence[str]) -> tuple[str, ...]:
    """The agents that may work on an issue, in order: the one that it names, else its lane's, else the floor's."""
    if issue.agent:
        return (issue.agent,)
    return tuple(lane_of(issue, config)[1].agents or usual)


def next_agents(chain: Sequence[str], counted: Sequence[Attempt], limits: FloorConfig) -> tuple[str, ...]:
    """The agents of a chain that may take an issue now, best first. One whose sessions failed too often is behind it;
    if all are, a person has wanted the issue to go on all the same.

    Args:
        counted: the issue's attempts that count against its budget.
    """
    return agents_left(chain, counted, limits) or tuple(chain)


def provider_room(
    circuit: Circuit,
    settings: ProviderConfig,
    running: Iterable[float],
    began: Iterable[float],
    wall: float,
    now: float,
) -> Room:
    """How many more attempts a provider may serve.

    Args:
        running: when (Unix time) the attempts began that use it now.
        began: when (monotonic) attempts began that use it or did.
        wall: Unix time.
        now: monotonic.
    """
    used = list(running)
    rooms = [rate_room(settings.starts_per_minute, MINUTE, began, now)]
    if settings.concurrency is not None:
        rooms.append(Room(max(0, settings.concurrency - len(used))))
    match circuit.state(wall):
        case "open":
            rooms.append(Room(0, None if circuit.until is None else max(0.0, circuit.until - wall)))
        case "half-open":
            tries = sum(one >= (circuit.until or 0.0) for one in used)
            rooms.append(Room(max(0, 1 - tries)))
    return narrowest(rooms)


def rate_room(limit: int | None, span: float, began: Iterable[float], now: float) -> Room:
    """How many more may begin, with at most `limit` within `span` seconds; `began` and `now` are monotonic."""
    if limit is None:
        return Room()
    recent = sorted(at for at in began if at > now - span)
    free = max(0, limit - len(recent))
    return Room(free, recent[len(recent) - limit] + span - now if not free else None)


def narrowest(rooms: Sequence[Room]) -> Room:
    """What several limits leave: the fewest, after the longest wait of those that leave nothing."""
    free = min(room.free for room in rooms)
    waits = [room.later for room in rooms if room.free == 0]
    return Room(free, None if None in waits else max((one for one in waits if one is not None), default=None))
