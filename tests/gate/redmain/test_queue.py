"""A main that fails the gate by itself: no change is blamed for it, and what made it red is found."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tapeout.base.faults import CRASH_VARIABLE, ONCE_VARIABLE
from tapeout.floor.status import read_status
from tapeout.gate.queuestatus import read_queue
from tapeout.gate.redmain import revert_of
from tapeout.tracker.doorbell import Doorbell
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, commit_files, commit_tree, git
from tests.gate.test_crash import start_job

CHECK = """
[[check]]
name = "unit"
kind = "test"
run = "ls | grep ^bad && { echo 'bad.txt:1: error: bad'; exit 1; }; echo 3 passed"
"""
"""It names no file: one that a check names could be removed by a person only."""

REVERTS = "[queue]\nrevert_red = true\n"

SOME_PATHS = """
[gate]
sandbox = "off"
[[check]]
name = "unit"
kind = "test"
run = "ls | grep ^bad && { echo 'bad.txt:1: error: bad'; exit 1; }; echo 3 passed"
paths = ["src/**"]

[[check]]
name = "other"
run = "true"
"""
"""What touches nothing of src lands without `unit`: that is how a culprit gets through the gate."""


def red_events(site: Site) -> list[dict[str, Any]]:
    return [event.data for event in site.events() if event.data.get("what") == "red-main"]


def reverts_on_main(site: Site) -> list[str]:
    return git(site.paths.hub, "log", "--format=%H", "--grep=^This reverts commit", "main").split()


def escaped(site: Site, number: int, culprit: int) -> list[Change]:
    """Land so many changes, half of them and then the others, of which one makes main red."""
    landed: list[Change] = []
    for half in (range(number // 2), range(number // 2, number)):
        landed += [site.submit({"bad.txt" if one == culprit else f"doc{one}.txt": "x"}) for one in half]
        site.run()
    assert {site.state(change) for change in landed} == {"landed"}
    return landed


def test_by_a_persons_commit_the_queue_stops_and_the_issue_says_what_to_do(site: Site) -> None:
    good = site.submit({"a.txt": "x"})
    site.run()
    git(site.root, "checkout", "-q", ".")
    commit_files(site.root, {"fine.txt": "x"})
    culprit = commit_files(site.root, {"bad.txt": "x"}, "By hand")
    commit_files(site.root, {"later.txt": "x"})
    change = site.submit({"b.txt": "x"})
    site.run()

    assert site.state(good) == "landed"
    assert site.state(change) == "queued", "nobody is blamed"
    stopped = site.tracker.queue_stopped() or ""
    assert f"main is red since {culprit[:10]}: unit: exit code 1: bad.txt:1: error: bad" in stopped
    assert "set queue.revert_red" in stopped
    (issue,) = site.tracker.red_main()
    assert issue.id in stopped
    assert culprit in issue.body
    assert "bad.txt:1: error: bad" in issue.body
    assert "People put it on their branch" in issue.body
    assert issue.needs_person
    assert red_events(site) == [
        {"what": "red-main", "escaped": False, "commit": culprit, "change": "", "issue": "", "checks": ["unit"]}
    ]

    site.tracker.start_queue()
    site.run()
    assert len(site.tracker.red_main()) == 1, "filed once"
    assert len(red_events(site)) == 1

    commit_files(site.root, {"bad.txt": None}, "Mended")
    site.tracker.start_queue()
    site.run()
    assert site.state(change) == "landed"


def test_a_persons_commit_is_reverted_through_the_gate_and_published_on_top_of_it(make_site: MakeSite) -> None:
    site = make_site(REVERTS + CHECK)
    culprit = commit_files(site.root, {"bad.txt": "x"}, "By hand")
    changes = [site.submit({f"{name}.txt": "x"}) for name in "abc"]
    site.run()
    assert [site.state(change) for change in changes] == ["landed"] * 3
    assert len(reverts_on_main(site)) == 1
    assert site.tracker.queue_stopped() is None
    assert site.tracker.red_main() == [], "the issue closed when the revert landed"
    assert not (site.root / "bad.txt").exists()
    assert culprit in git(site.root, "log", "--format=%H").split(), "nothing is rewritten"
    (event,) = red_events(site)
    assert not event["escaped"]
    issue = site.tracker.issue(next(e.issue for e in site.events() if e.data.get("what") == "red-main"))
    assert "this commit of a person" in issue.body
    assert (issue.resolution, issue.priority) == ("landed", 0)


@pytest.mark.parametrize("place", [1, 5, 9])
def test_a_culprit_among_ten_landings_is_found_and_reverted(make_site: MakeSite, place: int) -> None:
    site = make_site(REVERTS + SOME_PATHS)
    landed = escaped(site, 10, place)
    change = site.submit({"src/a.py": "A = 1\n"})
    site.run()
    assert site.state(change) == "landed"
    (revert,) = reverts_on_main(site)
    culprit = site.merges_of(landed[place])[0]
    assert culprit in git(site.paths.hub, "log", "-1", "--format=%b", revert)
    (event,) = red_events(site)
    assert event["escaped"]
    assert (event["commit"], event["change"], event["issue"]) == (culprit, landed[place].id, landed[place].issue)
    (comment,) = site.tracker.comments(landed[place].issue)
    assert culprit in comment.text
    listed = git(site.paths.hub, "ls-tree", "--name-only", "main").split()
    assert "bad.txt" not in listed
    assert {f"doc{one}.txt" for one in range(10) if one != place} <= set(listed)


def test_the_tests_that_came_with_a_culprit_leave_with_it(make_site: MakeSite) -> None:
    site = make_site(REVERTS + SOME_PATHS)
    culprit = site.submit(
        {"bad.txt": "x", "tests/test_bad.py": "from a import f\n\n\ndef test_f():\n    assert f(1) == 2\n"}
    )
    site.run()
    assert site.state(culprit) == "landed"
    change = site.submit({"src/a.py": "A = 1\n"})
    site.run()
    assert site.state(change) == "landed"
    assert "tests" not in git(site.paths.hub, "ls-tree", "--name-only", "main").split()


ELSEWHERE = """
[queue]
revert_red = true
[gate]
sandbox = "off"
[[check]]
name = "unit"
kind = "test"
run = "test -f {here}/broken && {{ echo 'no service'; exit 1; }}; echo 3 passed"
"""


def test_by_the_machine_nobody_is_blamed_and_nothing_is_reverted(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site(ELSEWHERE.format(here=tmp_path))
    landed = site.submit({"a.txt": "x"})
    site.run()
    commit_files(site.root, {"mine.txt": "x"})
    (tmp_path / "broken").write_text("x")
    change = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(landed) == "landed"
    assert site.state(change) == "queued"
    assert "This machine is at fault, or the check, and no commit" in (site.tracker.queue_stopped() or "")
    assert site.tracker.red_main() == []
    assert reverts_on_main(site) == []
    assert red_events(site) == []

    (tmp_path / "broken").unlink()
    site.tracker.start_queue()
    site.run()
    assert site.state(change) == "landed"


def test_a_known_pass_of_main_is_doubted_when_a_second_change_fails_alike(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site(ELSEWHERE.format(here=tmp_path))
    site.submit({"a.txt": "x"})
    site.run()
    (tmp_path / "broken").write_text("x")
    first = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(first) == "failed", "what is known of main says that it is good"
    second = site.submit({"c.txt": "x"})
    site.run()
    assert site.state(second) == "queued"
    assert "This machine is at fault" in (site.tracker.queue_stopped() or "")
    (comment,) = site.tracker.comments(first.issue)
    assert "no service" in comment.text


def test_a_change_that_fails_more_than_main_is_refused_for_that(make_site: MakeSite) -> None:
    more = '\n[[check]]\nname = "lint"\nrun = "test ! -f worse.txt"\n'
    site = make_site(CHECK + more)
    commit_files(site.root, {"bad.txt": "x"})
    change = site.submit({"worse.txt": "x"})
    site.run()
    assert site.state(change) == "failed"
    assert [finding["check"] for finding in site.verdict(change)["findings"]] == ["lint"]
    assert "unit: the target branch fails it, too" in site.verdict(change)["notes"]
    assert site.tracker.queue_stopped() is None


COUNTED = """
[gate]
sandbox = "off"
flaky_reruns = 0
fail_fast = {fail_fast}
[[check]]
name = "unit"
kind = "{kind}"
run = "echo run >> {here}/runs; test -f bad.txt && exit 1; echo 3 passed"
"""


@pytest.mark.parametrize(("kind", "fail_fast"), [("test", "false"), ("custom", "true")])
def test_a_green_main_costs_no_run(make_site: MakeSite, tmp_path: Path, kind: str, fail_fast: str) -> None:
    """A check of kind `custom` may look at commits, so that its pass counts for the commit that landed, as it did."""
    site = make_site(COUNTED.format(here=tmp_path, kind=kind, fail_fast=fail_fast))
    for number in range(3):
        site.submit({f"{number}.txt": "x"})
    site.run()
    before = len((tmp_path / "runs").read_text().splitlines())
    change = site.submit({"bad.txt": "x"})
    site.run()
    assert site.state(change) == "failed"
    assert len((tmp_path / "runs").read_text().splitlines()) == before + 1, "the change's own"


ASKED = """
[queue]
slots = 2
[gate]
sandbox = "off"
[[check]]
name = "unit"
cacheable = false
run = "test -f bad.txt && exit 1; ls | grep ^good || cat {here}/fifo"
"""
"""On main itself it waits until somebody says more."""


@pytest.mark.parametrize("end", ["refused", "withdrawn"])
def test_others_land_while_it_is_found_out_whether_main_fails_too(
    make_site: MakeSite, tmp_path: Path, end: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    site = make_site(ASKED.format(here=tmp_path))
    bad = site.submit({"bad.txt": "x"}, priority=0)
    good = [site.submit({f"good{one}.txt": "x"}) for one in range(2)]
    job = start_job(site)
    with Doorbell(site.paths.bells) as bell:
        deadline = time.monotonic() + 60
        while any(site.state(one) != "landed" for one in good) and time.monotonic() < deadline:
            bell.wait(1)
    assert [site.state(one) for one in (bad, *good)] == ["gating", "landed", "landed"]
    asked = [row.why for row in read_queue(site.tracker, site.paths).queue if row.change == bad.id]
    assert asked == ["failed alone; whether the target branch fails by itself is being found out"]
    if end == "withdrawn":
        site.tracker.close_issue(bad.issue, "wontfix")
    (tmp_path / "fifo").write_text("fine\n")
    assert job.wait() == 0
    assert site.state(bad) == ("failed" if end == "refused" else "withdrawn")
    assert site.tracker.queue_stopped() is None


FLAKY = """
[queue]
revert_red = true
slots = 1
[gate]
sandbox = "off"
flaky_reruns = 0
[[check]]
name = "unit"
kind = "test"
run = "echo run >> {here}/runs; test $(wc -l < {here}/runs) -le {failures} && exit 1; echo 3 passed"
"""


def test_a_flaky_check_blames_neither_the_change_nor_a_commit(make_site: MakeSite, tmp_path: Path) -> None:
    """It fails on the change and on main, and passes on main when that is looked at again."""
    site = make_site(FLAKY.format(here=tmp_path, failures=2))
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    assert site.tracker.queue_stopped() is None
    assert site.tracker.red_main() == []
    assert reverts_on_main(site) == []
    (issue,) = [one for one in site.tracker.issues() if "flaky" in one.labels]
    assert issue.title == "Flaky: unit"


def test_a_revert_that_conflicts_stops_the_queue(make_site: MakeSite) -> None:
    site = make_site(REVERTS + CHECK.replace("ls | grep ^bad", "cat a* | grep bad"), a__txt="good\n")
    commit_files(site.root, {"a.txt": "bad\n"})
    commit_files(site.root, {"a.txt": "bad and more\n"})
    change = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(change) == "queued"
    assert "it cannot be reverted: later commits changed a.txt" in (site.tracker.queue_stopped() or "")
    assert len(site.tracker.red_main()) == 1
    assert reverts_on_main(site) == []


def test_a_revert_that_does_not_pass_stops_the_queue_and_is_not_tried_again(make_site: MakeSite) -> None:
    """Since the culprit something else has come to need it."""
    needs = '\n[[check]]\nname = "needs"\nrun = "! ls | grep ^other || ls | grep ^bad"\n'
    site = make_site(REVERTS + CHECK + needs)
    commit_files(site.root, {"bad.txt": "x"})
    commit_files(site.root, {"other.txt": "x"})
    change = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(change) in ("queued", "gating")
    stopped = site.tracker.queue_stopped() or ""
    assert "its revert was refused: needs: exit code 1" in stopped
    (issue,) = site.tracker.red_main()
    assert issue.needs_person
    site.tracker.start_queue()
    site.run()
    assert "its revert did not land: needs: exit code 1" in (site.tracker.queue_stopped() or "")
    assert len(site.tracker.all_changes(issue.id)) == 1, "one revert"
    assert site.state(change) in ("queued", "gating")


STEPS = ["known", "reverted", "reported"]


@pytest.mark.parametrize("step", [f"redmain.{step}" for step in STEPS] + ["landing.moved", "landing.verdict"])
def test_killed_at_any_step_there_is_one_issue_and_one_revert(make_site: MakeSite, step: str) -> None:
    site = make_site(REVERTS + CHECK)
    commit_files(site.root, {"bad.txt": "x"}, "By hand")
    changes = [site.submit({f"{name}.txt": "x"}) for name in "ab"]
    assert start_job(site, **{CRASH_VARIABLE: step}).wait() == -signal.SIGKILL
    site.run()
    assert [site.state(change) for change in changes] == ["landed"] * 2
    assert len(reverts_on_main(site)) == 1
    assert len(red_events(site)) == 1
    issues = [one for one in site.tracker.issues() if "red-main" in one.labels]
    assert [(one.status, one.resolution) for one in issues] == [("closed", "landed")]
    assert site.tracker.queue_stopped() is None


@pytest.mark.parametrize("step", ["known", "reported"])
def test_killed_before_it_stops_it_stops_the_next_time(site: Site, step: str) -> None:
    commit_files(site.root, {"bad.txt": "x"}, "By hand")
    change = site.submit({"a.txt": "x"})
    assert start_job(site, **{CRASH_VARIABLE: f"redmain.{step}"}).wait() == -signal.SIGKILL
    site.run()
    assert site.state(change) == "queued"
    assert "main is red" in (site.tracker.queue_stopped() or "")
    assert len(site.tracker.red_main()) == 1
    assert len(red_events(site)) == 1


def test_an_inquiry_that_is_killed_blames_nobody(site: Site, tmp_path: Path) -> None:
    commit_files(site.root, {"bad.txt": "x"}, "By hand")
    change = site.submit({"a.txt": "x"})
    extra = {CRASH_VARIABLE: "redmain.asked", ONCE_VARIABLE: str(tmp_path / "once")}
    assert start_job(site, **extra).wait() == 0
    assert (tmp_path / "once").exists()
    assert site.state(change) == "queued"
    assert "main is red" in (site.tracker.queue_stopped() or "")


def test_a_culprit_that_landed_together_with_others_is_named_by_its_own_merge(make_site: MakeSite) -> None:
    site = make_site("[queue]\nslots = 1\n" + SOME_PATHS)
    changes = [site.submit({"bad.txt" if one == 2 else f"doc{one}.txt": "x"}) for one in range(5)]
    site.run()
    assert [site.state(change) for change in changes] == ["landed"] * 5
    change = site.submit({"src/a.py": "A = 1\n"})
    site.run()
    assert site.state(change) == "queued"
    (event,) = red_events(site)
    assert (event["change"], event["commit"]) == (changes[2].id, site.merges_of(changes[2])[0])
    assert reverts_on_main(site) == []


def test_configured_later_the_revert_is_made_under_the_same_issue(site: Site) -> None:
    commit_files(site.root, {"tapeout.toml": CHECK})
    commit_files(site.root, {"bad.txt": "x"}, "By hand")
    change = site.submit({"a.txt": "x"})
    site.run()
    (issue,) = site.tracker.red_main()
    commit_files(site.root, {"tapeout.toml": REVERTS + CHECK})
    site.tracker.start_queue()
    site.run()
    assert site.state(change) == "landed"
    assert site.tracker.issue(issue.id).resolution == "landed"
    assert len(red_events(site)) == 1


def test_an_agents_commit_that_speaks_like_a_revert_is_a_change_like_any_other(site: Site) -> None:
    culprit = commit_files(site.root, {"tests/test_a.py": "def test_a():\n    assert f(1) == 2\n"})
    site.run()
    adopted = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(adopted) == "landed"
    message = f'Revert "work"\n\nThis reverts commit {culprit}.\n'
    commit = commit_tree(site.hub, [site.main], {"tests/test_a.py": None}, message)
    change = site.submit_commit(commit, site.main)
    site.run()
    assert site.state(change) == "failed"
    assert revert_of(site.hub, commit) is None


def test_status_and_queue_show_it(site: Site) -> None:
    culprit = commit_files(site.root, {"bad.txt": "x"}, "By hand")
    site.submit({"a.txt": "x"})
    site.run()
    (issue,) = site.tracker.red_main()
    shown = (f"{issue.id}: main is red since {culprit[:10]}: unit",)
    assert read_queue(site.tracker, site.paths).main_red == shown
    assert read_status(site.tracker, site.paths).main_red == shown


def test_commits_from_before_the_hub_are_not_looked_at(make_site: MakeSite) -> None:
    site = make_site(CHECK, bad__txt="x")
    site.run()
    commit_files(site.root, {"later.txt": "x"})
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "queued"
    assert f"so is {site.main_at_start[:10]}" in (site.tracker.queue_stopped() or "")
    assert site.tracker.red_main() == []


LOOK = "test -f look || exit 127; ls | grep ^bad && exit 1; echo fine"


def test_a_commit_that_lacks_what_a_check_runs_is_no_reason_to_give_up(make_site: MakeSite) -> None:
    site = make_site(f'[[check]]\nname = "unit"\nrun = "{LOOK}"\n', look="x")
    culprit = commit_files(site.root, {"bad.txt": "x"})
    commit_files(site.root, {"look": None})
    commit_files(site.root, {"look": "x"})
    commit_files(site.root, {"later.txt": "x"})
    change = site.submit({"a.txt": "x"})
    site.run()
    assert site.state(change) == "queued"
    assert f"main is red since {culprit[:10]}" in (site.tracker.queue_stopped() or "")
