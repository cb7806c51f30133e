"""The context meter: whatever an agent reports, no session goes on past its ceiling."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tapeout.agents import Compacted, ToolCall, Usage
from tapeout.base.errors import UsageError
from tapeout.base.tokens import estimate
from tapeout.config import parse_config
from tapeout.floor.context.limits import ContextLimits, LimitRules
from tapeout.floor.context.meter import HANDOFF_TOKENS, ContextMeter
from tapeout.floor.cuts import Answer, Cut, first_cut
from tapeout.floor.lanes import lane_of
from tests.floor.test_decisions import issue

SHARES = st.floats(0.01, 1)
TOKENS = st.integers(0, 400_000)
WINDOWS = st.sampled_from([0, 1, 32_000, 200_000, 1_000_000])


class Session(RuleBasedStateMachine):
    """A session under the meter, as a supervisor runs it: what a cut forbids is not done."""

    @initialize(limit=SHARES, ceiling=SHARES)
    def begin(self, limit: float, ceiling: float) -> None:
        self.limits = ContextLimits(min(limit, ceiling), ceiling, grace=30)
        self.meter = ContextMeter(self.limits, 200_000)
        self.cut: Cut | None = None
        self.highest = 0.0
        self.soft_cuts = 0

    def take(self, answer: Answer) -> None:
        assert answer is None or isinstance(answer, Cut)
        if answer is not None:
            assert answer.kind == "context"
            self.soft_cuts += not answer.hard
            self.cut = first_cut(self.cut, answer)

    def is_killed(self) -> bool:
        return self.cut is not None and self.cut.hard

    @precondition(lambda self: not self.is_killed())
    @rule(used=TOKENS, window=WINDOWS)
    def reports(self, used: int, window: int) -> None:
        self.take(self.meter.update(Usage(used, window), 0))
        share = used / window if window else float(used > 0)
        if share >= self.limits.limit:
            assert self.cut is not None
        self.highest = max(self.highest, share)

    @precondition(lambda self: not self.is_killed())
    @rule(before=TOKENS, after=TOKENS)
    def shortens_its_own_context(self, before: int, after: int) -> None:
        self.take(self.meter.update(Compacted(before, after), 0))
        assert self.cut is not None

    @precondition(lambda self: not self.is_killed())
    @rule()
    def works(self) -> None:
        self.take(self.meter.update(ToolCall("1", "make", "execute", "completed", ""), 0))

    @precondition(lambda self: self.cut is None)
    @rule(words=st.integers(0, 20_000))
    def is_prompted(self, words: int) -> None:
        self.take(self.meter.turn_started("word " * words, 0))
        reading = self.meter.reading
        used, window = (reading.used, reading.window) if reading else (0, 200_000)
        filled = used + estimate("word " * words)
        share = filled / window if window else float(filled > 0)
        assert (self.cut is None) == (share < self.limits.limit)

    @precondition(lambda self: self.is_killed())
    @rule(limit=SHARES, ceiling=SHARES)
    def is_followed_by_a_fresh_one(self, limit: float, ceiling: float) -> None:
        self.begin(limit, ceiling)

    @precondition(lambda self: self.cut is not None and not self.is_killed())
    @rule()
    def is_asked_for_a_handoff(self) -> None:
        reading = self.meter.reading
        if self.meter.has_room and reading is not None:
            assert reading.used + HANDOFF_TOKENS <= self.limits.ceiling * reading.window

    @invariant()
    def nobody_is_alive_past_the_ceiling(self) -> None:
        assert self.is_killed() == (self.highest >= self.limits.ceiling)
        assert self.soft_cuts <= 1


TestSession = Session.TestCase

FILE = """
[floor]
context_limit = 0.5
context_ceiling = 0.7
model_context_limits = { "gpt-5*" = 0.2, "gpt-*" = 0.65 }
[agents.codex]
driver = "acp"
command = ["codex-acp"]
context_limit = 0.3
[lane.docs]
types = ["bug"]
context_limit = 0.6
[lane.other]
labels = ["x"]
[[check]]
name = "unit"
run = "true"
kind = "test"
"""


@pytest.mark.parametrize(
    ("agent", "model", "fields", "limit"),
    [
        ("claude", "opus", {}, 0.5),
        ("codex", "", {}, 0.3),
        ("claude", "", {"type": "bug"}, 0.6),
        ("codex", "", {"type": "bug"}, 0.3),
        ("claude", "", {"labels": ("x",)}, 0.5),
        ("claude", "gpt-5-codex", {"type": "bug"}, 0.2),
        ("codex", "gpt-6", {}, 0.3),
    ],
)
def test_the_lowest_of_the_limits_of_agent_model_and_lane_holds_else_the_floors(
    agent: str, model: str, fields: dict[str, Any], limit: float
) -> None:
    config = parse_config(FILE)
    _, lane = lane_of(issue(**fields), config)
    assert LimitRules(agent, lane, config).limits(model) == ContextLimits(limit, 0.7, 10.0)


def test_a_limit_above_the_ceiling_is_refused_and_named() -> None:
    with pytest.raises(UsageError, match=r"lane\.docs\.context_limit is 0\.8, above floor\.context_ceiling \(0\.7\)"):
        parse_config(FILE.replace("context_limit = 0.6", "context_limit = 0.8"))
    for value in ("0", "1.01", "true", '"40%"', "nan"):
        with pytest.raises(UsageError, match=r"floor\.context_limit"):
            parse_config(FILE.replace("context_limit = 0.5", f"context_limit = {value}"))
