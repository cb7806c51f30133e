"""Law 3 and 4: main moves only to a commit whose exact tree passed, and landed means that git says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import NotAllowed
from tapeout.base.git import move_ref, resolve
from tapeout.gate import adopt, lander
from tapeout.gate.evidence import attach
from tapeout.gate.landing import land, objection
from tapeout.gate.runs import try_lock
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_files, commit_tree, git


def test_a_good_change_lands_as_a_merge_with_its_evidence_and_closes_its_issue(site: Site) -> None:
    change = site.submit({"src/a.py": "A = 1\n"}, title="Add  a\nwith\tstyle, closes #12")
    site.run()

    assert site.state(change) == "landed"
    issue = site.tracker.issue(change.issue)
    assert (issue.status, issue.resolution, issue.landed_commit) == ("closed", "landed", site.main)
    commit = site.hub[site.main].peel(pygit2.Commit)
    assert [str(parent) for parent in commit.parent_ids] == [site.main_at_start, change.commit]
    assert commit.message.splitlines()[0] == f"Add a with style, closes #\u200b12 (#{change.issue})"
    trailers = f"Tapeout-Issue: {change.issue}\nTapeout-Attempt: {change.attempt}\nTapeout-Change: {change.id}\n"
    assert commit.message.endswith(trailers)
    assert commit.author.name == "tapeout"

    evidence = site.evidence(site.main)
    assert evidence is not None
    assert (evidence["change"], evidence["issue"], evidence["attempt"]) == (change.id, change.issue, change.attempt)
    assert evidence["checks"][0]["exit_code"] == 0
    stored = Path(site.paths.evidence, evidence["run"])
    assert json.loads((stored / "verdict.json").read_text()) == evidence
    assert (stored / "unit.log").read_text() == "3 passed\n"
    assert resolve(site.hub, f"refs/tapeout/candidates/{change.id}") == site.main
    assert (site.root / "src/a.py").read_text() == "A = 1\n", "published to the user's clean work tree"
    site.assert_main_is_validated()


def test_a_bad_change_fails_with_what_an_agent_needs_and_main_stays(site: Site) -> None:
    change = site.submit({"bad.txt": "x"})
    site.run()

    assert site.state(change) == "failed"
    assert site.main == site.main_at_start
    verdict = site.verdict(change)
    assert verdict["reason"] == "unit: exit code 1: bad.txt:1: error: bad"
    reason = "exit code 1: bad.txt:1: error: bad"
    assert verdict["findings"] == [{"check": "unit", "reason": reason, "excerpt": "bad.txt:1: error: bad"}]
    assert site.tracker.issue(change.issue).status == "open"


def test_urgent_changes_go_first_and_later_ones_are_merged_with_what_landed(site: Site) -> None:
    later = site.submit({"later.txt": "x"}, priority=3)
    urgent = site.submit({"urgent.txt": "x"}, priority=0)
    site.run()

    assert site.state(later) == site.state(urgent) == "landed"
    assert site.tracker.issue(later.issue).landed_commit == site.main
    assert (
        site.merges_of(later) + site.merges_of(urgent)
        == git(site.paths.hub, "log", "--first-parent", "--format=%H", f"{site.main_at_start}..main").split()
    )


def test_two_changes_that_pass_alone_and_break_together_do_not_both_land(make_site: MakeSite) -> None:
    site = make_site(CONFIG.replace("test -f bad.txt", "test -f a.txt -a -f b.txt"))
    first, second = site.submit({"a.txt": "x"}), site.submit({"b.txt": "x"})
    site.run()

    assert (site.state(first), site.state(second)) == ("landed", "failed")


def test_a_conflicting_change_is_told_the_paths(site: Site) -> None:
    first, second = site.submit({"README.md": "one\n"}), site.submit({"README.md": "two\n"})
    site.run()

    assert (site.state(first), site.state(second)) == ("landed", "conflict")
    assert "README.md" in site.verdict(second)["reason"]


def test_a_candidate_cannot_choose_its_own_checks(site: Site) -> None:
    lax = '[[check]]\nname = "unit"\nrun = "true"\n'
    change = site.submit({"tapeout.toml": lax, "bad.txt": "x"})
    site.run()

    assert site.state(change) == "failed"
    assert {finding["check"] for finding in site.verdict(change)["findings"]} == {"gate-config", "unit"}


def test_even_a_harmless_edit_of_the_gate_file_needs_a_person(site: Site) -> None:
    change = site.submit({"tapeout.toml": CONFIG + "\n# a comment\n"})
    site.run()

    assert site.verdict(change)["reason"].startswith("gate-config: the change edits tapeout.toml")


def test_what_a_person_changes_in_the_gate_file_counts_at_once(site: Site) -> None:
    person = commit_files(site.root, {"tapeout.toml": CONFIG.replace("bad.txt", "worse.txt")})
    change = site.submit({"bad.txt": "x"})
    site.run()

    assert site.state(change) == "landed"
    assert str(site.hub[site.main].peel(pygit2.Commit).parent_ids[0]) == person
    assert site.kinds() == ["adopted", "published"]


def test_a_change_that_changes_nothing_does_not_land(site: Site) -> None:
    same = commit_tree(site.hub, [site.main], {})
    changes = [site.submit_commit(same, site.main), site.submit_commit(site.main, site.main)]
    site.run()

    for change in changes:
        assert site.state(change) == "failed"
        assert "no change" in site.verdict(change)["reason"]
    assert site.main == site.main_at_start


def test_unrelated_history_and_unknown_commits_are_refused_with_the_reason(site: Site) -> None:
    unrelated = site.submit_commit(commit_tree(site.hub, [], {"x": "x"}), site.main)
    unknown = site.submit_commit("0123456789" * 4, site.main)
    nonsense = site.submit_commit("--upload-pack=x", site.main)
    site.run()

    assert "unrelated" in site.verdict(unrelated)["reason"]
    assert "is not in the hub" in site.verdict(unknown)["reason"]
    assert "is not in the hub" in site.verdict(nonsense)["reason"]
    assert site.main == site.main_at_start


def test_main_moved_by_somebody_else_between_gate_and_move(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []

    def interfere(name: str) -> None:
        if name == "landing.noted" and not moved:
            moved.append(commit_files(site.root, {"other.txt": "x"}))
            assert adopt(site.paths, site.repository, "main").adopted == moved[0]

    monkeypatch.setattr(lander, "point", interfere)
    change = site.submit({"a.txt": "x"})
    site.run()

    assert site.state(change) == "landed"
    merge = site.hub[site.main].peel(pygit2.Commit)
    assert [str(parent) for parent in merge.parent_ids] == [moved[0], change.commit]
    assert "other.txt" in merge.tree
    evidence = site.evidence(site.main)
    assert evidence is not None
    assert evidence["base"] == moved[0], "gated again on the new base"


def test_a_change_withdrawn_while_it_is_gated_does_not_land(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change = site.submit({"a.txt": "x"})
    other = site.submit({"b.txt": "x"})

    def withdraw(name: str) -> None:
        if name == "landing.noted" and site.state(change) == "passed":
            site.tracker.close_issue(change.issue, "wontfix")

    monkeypatch.setattr(lander, "point", withdraw)
    site.run()

    assert (site.state(change), site.state(other)) == ("withdrawn", "landed")
    assert not site.merges_of(change)


class TestLanding:
    """`land` believes nothing but the evidence on the commit itself."""

    @staticmethod
    def merge(site: Site) -> tuple[str, dict[str, object]]:
        side = commit_tree(site.hub, [site.main], {"a.txt": "x"})
        merge = commit_tree(site.hub, [site.main, side], {"a.txt": "x"})
        tree = str(site.hub[merge].peel(pygit2.Commit).tree_id)
        good = {"passed": True, "candidate": merge, "tree": tree, "base": site.main, "checks": [{"name": "unit"}]}
        return merge, good

    def test_good_evidence_lands(self, site: Site) -> None:
        merge, good = self.merge(site)
        attach(site.hub, merge, good)
        assert land(site.hub, "main", merge)
        assert site.main == merge

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"passed": False}, "not a pass"),
            ({"passed": "yes"}, "not a pass"),
            ({"checks": []}, "not a pass"),
            ({"tree": "0" * 40}, "another tree"),
            ({"candidate": "0" * 40}, "another tree"),
            ({"base": "0" * 40}, "another base"),
        ],
    )
    def test_other_evidence_does_not(self, site: Site, change: dict[str, object], why: str) -> None:
        merge, good = self.merge(site)
        attach(site.hub, merge, {**good, **change})
        with pytest.raises(NotAllowed, match=why):
            land(site.hub, "main", merge)
        assert site.main == site.main_at_start

    def test_no_evidence_does_not(self, site: Site) -> None:
        with pytest.raises(NotAllowed, match="no evidence"):
            land(site.hub, "main", self.merge(site)[0])

    def test_a_commit_with_one_parent_does_not(self) -> None:
        evidence = {"passed": True, "candidate": "c", "tree": "t", "base": "b", "checks": [{}]}
        assert objection(evidence, commit="c", tree="t", lineage=[["b"]])
        assert objection(evidence, commit="c", tree="t", lineage=[["a", "x"], ["b"]])
        assert objection(evidence, commit="c", tree="t", lineage=[["a", "x"], ["other", "y"]])
        assert not objection(evidence, commit="c", tree="t", lineage=[["b", "x"]])
        assert not objection(evidence, commit="c", tree="t", lineage=[["a", "x"], ["b", "y"]])

    def test_a_base_that_main_left_does_not(self, site: Site) -> None:
        merge, good = self.merge(site)
        attach(site.hub, merge, good)
        other = commit_tree(site.hub, [site.main], {"other.txt": "x"})
        assert move_ref(site.hub, "refs/heads/main", other, site.main)
        assert not land(site.hub, "main", merge)
        assert site.main == other


def test_two_landers_at_once_land_each_change_once(site: Site) -> None:
    changes = [site.submit({f"{number}.txt": "x"}) for number in range(4)]
    program = "import sys; from tapeout.gate.job import main; main(*sys.argv[1:])"
    arguments = [sys.executable, "-c", program, site.paths.root, site.repository.root, site.repository.git_dir]
    running = [subprocess.Popen(arguments, start_new_session=True) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]

    for change in changes:
        assert site.state(change) == "landed"
        assert len(site.merges_of(change)) == 1
    site.assert_main_is_validated()


def test_a_queue_that_is_held_or_stopped_is_left_alone(site: Site) -> None:
    change = site.submit({"a.txt": "x"})
    with try_lock(site.paths.queue_lock) as free:
        assert free
        site.run()
        assert site.state(change) == "queued"
    site.tracker.stop_queue("a person wants so")
    site.run()
    assert site.state(change) == "queued"
    site.tracker.start_queue()
    site.run()
    assert site.state(change) == "landed"


def test_a_change_that_comes_in_while_the_queue_ends_is_not_left_lying(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Change] = []
    original = lander._Lander.run

    def run(self: lander._Lander) -> None:
        original(self)
        if not late:
            late.append(site.submit({"late.txt": "x"}))

    monkeypatch.setattr(lander._Lander, "run", run)
    site.run()
    assert site.state(late[0]) == "landed"


@pytest.mark.parametrize("target", ["missing", "invalid"])
def test_a_target_branch_without_a_usable_gate_stops_the_queue_and_blames_nobody(site: Site, target: str) -> None:
    change = site.submit({"a.txt": "x"})
    commit_files(site.root, {"tapeout.toml": None if target == "missing" else "[[check]]\nname = 3\n"})
    site.run()
    assert site.state(change) == "queued"
    assert "tapeout.toml" in (site.tracker.queue_stopped() or "")

    commit_files(site.root, {"tapeout.toml": CONFIG})
    site.tracker.start_queue()
    site.run()
    assert site.state(change) == "landed"


def test_nothing_of_a_run_stays_but_its_evidence(site: Site) -> None:
    site.submit({"a.txt": "x"})
    site.run()
    assert os.listdir(site.paths.gate) == []
    assert git(site.root, "for-each-ref", "refs/tapeout") == ""
    assert not (site.root / ".git" / "FETCH_HEAD").exists()
