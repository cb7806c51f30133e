"""The digest: never above its budget, the most important line of every section always in it, the same for the same
state."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.errors import UsageError
from tapeout.base.paths import StatePaths
from tapeout.base.tokens import estimate
from tapeout.tracker import Draft, Tracker
from tapeout.tracker.model import SUPERVISION
from tapeout.tracker.prime.clipping import name
from tapeout.tracker.prime.digest import DIGEST_BUDGET, MIN_DIGEST_BUDGET, compile_digest
from tapeout.tracker.prime.digest_facts import (
    Asked,
    CutOff,
    DigestFacts,
    FloorNow,
    HotSpot,
    Kind,
    Running,
)
from tapeout.tracker.prime.model import Closed, Facts
from tests.tracker.test_prime import NOW, briefs, facts, many, moments, names, numbers, texts

shares = st.none() | st.floats(allow_nan=False)
digest_facts = st.builds(
    DigestFacts,
    plan=facts,
    floor=st.none() | st.builds(FloorNow, numbers, names, moments),
    held=many(texts),
    asked=many(st.builds(Asked, briefs, names, texts, moments), 8),
    red_main=many(briefs),
    running=many(
        st.builds(Running, briefs, names, numbers, numbers, st.just("working"), moments, shares), 40
    ),
    running_total=numbers,
    hot_spots=many(st.builds(HotSpot, briefs, st.just("ready"), numbers), 12),
    cut_off=many(st.builds(CutOff, briefs, numbers, names, texts, texts), 12),
    landed=many(st.builds(Closed, briefs, st.just("landed"), moments, st.none() | names), 12),
    kinds=many(st.builds(Kind, names, numbers, numbers), 40),
    by_lane=st.booleans(),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(digest_facts, st.integers(MIN_DIGEST_BUDGET, DIGEST_BUDGET))
def test_no_state_makes_it_longer_than_its_budget_or_drops_what_matters_most(facts: DigestFacts, budget: int) -> None:
    digest = compile_digest(facts, budget)
    assert digest.tokens == estimate(digest.text) <= budget
    assert compile_digest(facts, budget) == digest
    assert digest.text.replace("\n", "").replace("\t", "").isprintable()
    firsts = [some[0].issue.id for some in (facts.asked, facts.running, facts.hot_spots, facts.cut_off) if some]
    firsts += [one.issue.id for one in facts.plan.failures[:1]] + [one.id for one in facts.plan.ready[:1]]
    for identity in firsts:
        assert name(identity) in digest.text
    if facts.plan.queue_stopped:
        assert digest.state[0].startswith("The queue is stopped")
    for line in digest.text.splitlines():
        assert line.count("«") == line.count("»")


def test_the_budget_is_at_most_two_thousand() -> None:
    for budget in (MIN_DIGEST_BUDGET - 1, DIGEST_BUDGET + 1):
        with pytest.raises(UsageError):
            compile_digest(DigestFacts(Facts(NOW)), budget)


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker.open(StatePaths(str(tmp_path / "state")), "ada")


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def test_it_tells_what_stands_still_what_goes_wrong_what_runs_and_what_holds_up(tracker: Tracker) -> None:
    with tracker:
        lost, hot, spun, busy, *rest = tracker.create_many([Draft(f"Issue {n}") for n in range(8)])
        tracker.create_many([Draft(f"Waits {n}", depends_on=(hot.id,)) for n in range(5)])
        tracker.need_person(lost.id, "2 sessions failed; last: tests")
        tracker.stop_queue("no such tool: pytest")
        for number, (issue, kind) in enumerate([(spun, "spiral"), (busy, "context")]):
            lease, attempt = tracker.begin_attempt(
                issue.id, f"a-{number}", 600.0, agent="codex", host="h", pid=1, pid_started=1.0
            )
            told = {"kind": "told", "evidence": "x"}
            note = {"entries": [told, {"kind": kind, "evidence": f"evidence of {kind}"}, told]}
            tracker.note_attempt(attempt.id, SUPERVISION, note, lease=lease)
        tracker.set_activity("a-1", "Edit src/a.py", 60_000, 200_000)
        now = tracker.attempt("a-1").started_at + 130
        text = tracker.digest(now=now).text
        assert tracker.digest(now=now + 40).text == text, "ages are in whole minutes"
    assert text.splitlines()[2] == "The queue is stopped, nothing lands: «no such tool: pytest»"
    assert "The floor does not run" in text
    assert sections(text)[:4] == ["Needs a person", "Cut off by supervision", "Running", "Holds up most"]
    assert f"- {lost.id} P2 «Issue 0» needs a person: «2 sessions failed; last: tests»" in text
    assert f"- {spun.id} P2 «Issue 2»: attempt 1 (codex), spiral: «evidence of spiral»" in text
    assert "evidence of context" not in text
    assert "working" in text or "starting" in text
    assert "2 min, 30% of its context used\n" in text
    assert "Edit src/a.py" not in text, "what an agent says is not told to those who steer"
    assert f"- {hot.id} P2 «Issue 1» (ready): 5 issues wait for it" in text
    assert "- task: " in text
    assert rest


def test_it_tells_what_agents_ask_that_nobody_has_answered(tracker: Tracker) -> None:
    with tracker:
        issue = tracker.create(Draft("One"))
        lease, attempt = tracker.begin_attempt(issue.id, "a-1", 60.0, agent="x", host="h", pid=1, pid_started=1.0)
        answered, open_one = (tracker.ask(lease, attempt.id, f"Run {n}?", ["allow_once"], 9e9) for n in range(2))
        tracker.answer(answered.id, "allow")
        now = open_one.asked_at + 130
        text = tracker.digest(now=now).text
        assert sections(text)[0] == "Agents ask"
        assert f"- {open_one.id} for 2 min, on {issue.id} P2 «One»: «Run 1?»\n" in text
        assert "Run 0?" not in text
        tracker.close_issue(issue.id)
        assert "Agents ask" not in tracker.digest(now=now).text


def test_notes_that_other_clones_wrote_wrong_are_passed_over(tracker: Tracker) -> None:
    with tracker:
        issue = tracker.create(Draft("One"))
        lease, attempt = tracker.begin_attempt(issue.id, "a-1", 60.0, agent="x", host="h", pid=1, pid_started=1.0)
        wrong: list[object] = [{}, [], [3], [{"kind": None}], ["spiral"], [{"evidence": "e"}]]
        for entries in wrong:
            tracker.note_attempt(attempt.id, SUPERVISION, {"entries": entries}, lease=lease)
            assert "Cut off" not in tracker.digest().text


def test_lanes_are_counted_where_there_are_some(tracker: Tracker) -> None:
    with tracker:
        tracker.create_many([Draft("a", labels=("docs",)), Draft("b", labels=("docs",)), Draft("c")])
        text = tracker.digest(lane_of=lambda issue: "docs" if "docs" in issue.labels else "").text
    assert "## By lane\n- docs: 2 ready, 0 in progress\n- no lane: 1 ready, 0 in progress\n" in text


def test_what_is_not_shown_is_counted_or_said_to_be_at_least_so_much(tracker: Tracker) -> None:
    with tracker:
        for issue in tracker.create_many([Draft(f"Blocks {n} " + "word " * 30) for n in range(40)]):
            tracker.create_many([Draft(f"Waits for {issue.id}", depends_on=(issue.id,))])
        sections = {section.title: section for section in tracker.digest().sections}
        hot = sections["Holds up most"]
        assert len(hot.items) + hot.left_out == 40
        assert not hot.at_least
        for issue in tracker.ready(40):
            tracker.close_issue(issue.id)
            lease, attempt = tracker.begin_attempt(
                tracker.create(Draft("x")).id, f"a-{issue.id}", 9.0, agent="c", host="h", pid=1, pid_started=1.0
            )
            tracker.end_attempt(lease, attempt.id, "failed", "tests: " + "word " * 90, head=None, give_up=None)
        assert re.search(r"^- at least \d+ more: `tapeout logs`$", tracker.digest().text, re.MULTILINE)
