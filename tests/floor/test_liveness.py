"""Whether an attempt is alive: pure decisions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tapeout.agents import Text
from tapeout.floor.cuts import Answer, Cut, Tell
from tapeout.floor.health import Health, health_of
from tapeout.floor.liveness import BUSY_SHARE, LOOKS, Liveness, Signs, is_alive
from tapeout.floor.pausing import Pause
from tapeout.tracker.model import Activity
from tests.floor.test_decisions import attempt

STALL, TURN = 40.0, 1000.0
LOOK = STALL / LOOKS


class Turns(RuleBasedStateMachine):
    """A session whose machine is simulated: no cut without a reason, no hang without a cut."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.signs = Signs(0.0, 0, 0.0)
        self.shown: list[str] = []
        self.guard = Liveness(lambda: self.signs, self.shown.append, stall_after=STALL, turn_timeout=TURN)
        self.running = self.waiting = False
        self.quiet_since = self.begun = 0.0
        self.told = 0
        self.cut: Cut | None = None

    def heard(self, answer: Answer) -> None:
        quiet = self.now - self.quiet_since
        if isinstance(answer, Tell):
            assert (answer.when, answer.unheard) == ("now", "stalled")
            assert quiet >= STALL, "who lives is not disturbed"
            assert self.told == 0, "once a session"
            self.told += 1
            self.quiet_since = self.now
        elif isinstance(answer, Cut):
            too_long = self.now - self.begun >= TURN
            assert answer.kind == "stalled"
            assert too_long or (self.told == 1 and quiet >= STALL)
            self.cut = answer

    @precondition(lambda self: self.cut is None and not self.running)
    @rule()
    def begin(self) -> None:
        self.guard.turn_started("work", self.now)
        self.running, self.begun, self.quiet_since = True, self.now, self.now

    @precondition(lambda self: self.running and not self.waiting)
    @rule()
    def end(self) -> None:
        self.guard.turn_stopped(self.now)
        self.running = False

    @precondition(lambda self: self.cut is None and self.running)
    @rule()
    def says(self) -> None:
        self.heard(self.guard.update(Text("hello"), self.now))
        self.quiet_since = self.now

    @precondition(lambda self: self.cut is None and self.running)
    @rule(begins=st.booleans())
    def asks(self, begins: bool) -> None:
        if begins != self.waiting:
            self.guard.waits(begins=begins, now=self.now)
            self.waiting, self.quiet_since = begins, self.now

    @rule(looks=st.integers(1, 8), busy=st.booleans())
    def time_passes(self, looks: int, busy: bool) -> None:
        """The guard is called exactly when it asks to be."""
        end = self.now + looks * LOOK
        while self.cut is None and (wake := self.guard.wake) is not None and wake <= end:
            if busy:
                self.signs = Signs(self.signs.cpu + (wake - self.now) * BUSY_SHARE * 1.01, 0, 0.0)
            self.now = wake
            if busy or self.waiting:
                self.quiet_since = self.now
            self.heard(self.guard.tick(self.now))
            again = self.guard.wake
            assert again is None or again > wake, "a tick moves the next one on"
        if self.cut is None:
            if busy:
                self.signs = Signs(self.signs.cpu + (end - self.now) * BUSY_SHARE * 1.01, 0, 0.0)
            self.now = max(self.now, end)

    @invariant()
    def nothing_hangs_for_ever(self) -> None:
        if self.cut is None and self.running:
            assert self.guard.wake is not None
            assert self.guard.wake <= self.begun + TURN
            assert self.waiting or self.guard.wake <= self.now + LOOK
        if not self.running:
            assert self.guard.wake is None


TestTurns = Turns.TestCase


@pytest.mark.parametrize(
    ("after", "alive"),
    [
        (Signs(1.0, 5, 7.0), False),
        (Signs(1.05, 5, 7.0), False),
        (Signs(1.1, 5, 7.0), True),
        (Signs(0.5, 6, 7.0), True),
        (Signs(1.0, 5, 7.5), True),
    ],
    ids=["nothing", "timers", "work", "output", "files"],
)
def test_what_is_a_sign_of_life(after: Signs, alive: bool) -> None:
    assert is_alive(Signs(1.0, 5, 7.0), after, 10.0) is alive


def shown(state: str, waits_for: str = "") -> Activity:
    return Activity("text", None, None, state, waits_for, 0.0)


@pytest.mark.parametrize(
    ("lives", "expires", "activity", "state", "expected"),
    [
        (True, None, shown("working"), "working", Health("working")),
        (True, 5.0, shown("working"), "working", Health("working")),
        (False, 99.0, shown("working"), "working", Health("dead")),
        (None, 99.0, shown("stalled"), "working", Health("stalled")),
        (None, 5.0, shown("working"), "working", Health("dead")),
        (True, 99.0, shown("waiting", "permission"), "working", Health("waiting", "permission")),
        (True, 99.0, shown("new state", "x"), "submitted", Health("waiting", "gate")),
        (True, 99.0, None, "starting", Health("starting")),
        (True, 99.0, shown("", ""), "working", Health("working")),
    ],
)
def test_the_health_of_an_attempt(
    lives: bool | None, expires: float | None, activity: Activity | None, state: str, expected: Health
) -> None:
    """A process that lives is never called dead, whatever its lease says; nor is one that nobody can see from here and
    whose lease holds."""
    running: Any = attempt()._replace(state=state, outcome=None)
    assert health_of(running, activity, process_lives=lives, lease_expires=expires, now=10.0) == expected


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100))))
def test_the_clock_of_an_attempt_stands_still_in_pauses(steps: list[tuple[bool, float]]) -> None:
    wall, counted = 0.0, 0.0
    calls: list[str] = []
    pause = Pause(lambda: calls.append("stop"), lambda: calls.append("go"), lambda: wall)
    for paused, seconds in steps:
        (pause.begin if paused else pause.end)()
        wall += seconds
        counted += 0 if paused else seconds
        assert pause.now() == pytest.approx(counted)
    assert calls == ["stop", "go"] * (len(calls) // 2) + ["stop"] * pause.is_on
