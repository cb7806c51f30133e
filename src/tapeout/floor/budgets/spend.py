"""What attempts use: time, tokens, money. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spend:
    """What one or several attempts have used."""

    seconds: float = 0.0
    """In which an agent was at its turn."""
    tokens: int = 0
    """That went into the model, those from its cache included, or that it wrote."""
    cost: float = 0.0
    """US dollars, as agents report it."""
    attempts: int = 0
    estimated: bool = False
    """Whether some of the tokens are an estimate."""

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            self.seconds + other.seconds,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.attempts + other.attempts,
            self.estimated or other.estimated,
        )


NOTHING = Spend()


def total(spends: Iterable[Spend]) -> Spend:
    """All of them together."""
    return sum(spends, Spend())


def spend_of(data: Mapping[str, object]) -> Spend:
    """One attempt's, from its note; what is no valid number counts as nothing."""
    seconds, tokens, cost = (_number(data.get(name)) for name in ("seconds", "tokens", "cost"))
    return Spend(seconds, int(tokens), cost, 1, data.get("estimated") is True)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0.0
    return float(min(max(value, 0), 1e15))


class Meter:
    """Adds up what one session uses, from what it reports. A later report of less takes nothing back: those of a turn
    that runs are estimates."""

    def __init__(self) -> None:
        self._tokens = 0
        self._cost = 0.0
        self._estimated = False
        self._seconds = 0.0
        self._since: float | None = None

    def report(self, tokens: int, cost: float | None, *, estimated: bool) -> None:
        """The session has used so many tokens so far, and has cost so much."""
        self._estimated = estimated if tokens >= self._tokens else self._estimated
        self._tokens = max(self._tokens, tokens)
        self._cost = max(self._cost, cost or 0.0)

    def start(self, now: float) -> None:
        """A turn begins; `now` is monotonic, in seconds."""
        self._since = now

    def stop(self, now: float) -> None:
        """The turn is over, or waits for something that is not the agent."""
        self._seconds = self.seconds(now)
        self._since = None

    @property
    def runs(self) -> bool:
        """Whether a turn is under way."""
        return self._since is not None

    def seconds(self, now: float) -> float:
        """Time in turns so far."""
        return self._seconds + (max(0.0, now - self._since) if self._since is not None else 0.0)

    def spend(self, now: float) -> Spend:
        """What the session has used so far."""
        return Spend(self.seconds(now), self._tokens, self._cost, 1, self._estimated)
