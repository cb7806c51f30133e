"""Main moves with evidence only: what was moved past the gate is noticed, and whom a hub trusts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest

from tapeout.base.errors import EnvironmentProblem, NotAllowed
from tapeout.base.git import move_ref, resolve, signature
from tapeout.gate import Skipped, adopt, load_config, publish
from tapeout.gate.evidence import NOTES_REF, attach, read_evidence, read_note
from tapeout.gate.evidence.audit import accept
from tapeout.gate.evidence.seal import seal
from tapeout.gate.evidence.statement import statement_of
from tapeout.gate.evidence.trust import Adopted, Trust
from tapeout.gate.evidence.verify import landings, verify, verify_many
from tapeout.gate.landing import land
from tapeout.gate.reconcile import settle
from tests.gate.conftest import MakeSite
from tests.gate.notes import KEY, land_one, note_text, problems, write_note
from tests.gate.site import CONFIG, Site, commit_tree, git


class TestMainMovedPastTheGate:
    def rogue(self, site: Site) -> str:
        """Somebody writes refs directly, without evidence."""
        commit = commit_tree(site.hub, [site.main], {"evil.txt": "x"})
        assert move_ref(site.hub, "refs/heads/main", commit, site.main)
        return commit

    def test_nothing_is_built_on_it_or_published(self, site: Site) -> None:
        good = land_one(site)
        rogue = self.rogue(site)
        change = site.submit({"b.txt": "x"})
        site.run()
        assert site.state(change) == "queued"
        stopped = site.tracker.queue_stopped() or ""
        assert f"main of the hub was moved past the gate: no evidence of this hub for {rogue[:12]}" in stopped
        assert f"update-ref refs/heads/main {good}" in stopped
        assert git(site.root, "rev-parse", "main") == good
        assert git(site.root, "for-each-ref", "refs/tapeout") == ""
        found = publish(site.paths, site.repository, load_config(site.hub, good), site.tracker)
        assert isinstance(found, Skipped)
        assert "moved past the gate" in found.reason
        assert verify(site.hub, site.paths, rogue).kind == "unvalidated"

    def test_put_back_as_the_hint_says_it_goes_on(self, site: Site) -> None:
        land_one(site)
        self.rogue(site)
        change = site.submit({"b.txt": "x"}, base=site.main_at_start)
        site.run()
        stopped = site.tracker.queue_stopped() or ""
        command = stopped.partition("(`")[2].partition("`")[0].split()
        git(site.folder, *command[1:])
        site.tracker.start_queue()
        site.run()
        assert site.state(change) == "landed"
        assert all(one.is_good for one in verify_many(site.hub, site.paths, landings(site.hub, site.main)))

    def test_accepted_it_is_a_persons(self, site: Site) -> None:
        rogue = self.rogue(site)
        with pytest.raises(EnvironmentProblem, match="moved past the gate"):
            adopt(site.paths, site.repository, "main")
        accept(site.hub, "main", rogue)
        assert adopt(site.paths, site.repository, "main").main == rogue
        assert verify(site.hub, site.paths, rogue).kind == "adopted"

    def test_a_person_who_takes_it_to_their_branch_adopts_it(self, site: Site) -> None:
        rogue = self.rogue(site)
        git(site.root, "pull", "-q", "--ff-only", site.paths.hub, "main")
        assert adopt(site.paths, site.repository, "main").main == rogue

    def test_moved_to_a_candidate_whose_verdict_is_not_there_yet(self, site: Site) -> None:
        change = site.submit({"bad.txt": "x"})
        site.run()
        candidate = resolve(site.hub, f"refs/tapeout/candidates/{change.id}")
        assert candidate
        move_ref(site.hub, "refs/heads/main", candidate, site.main)
        site.submit({"b.txt": "x"})
        site.run()
        assert "moved past the gate" in (site.tracker.queue_stopped() or "")
        assert site.state(change) == "failed"

    def test_moved_with_a_forged_note(self, site: Site) -> None:
        land_one(site)
        side = commit_tree(site.hub, [site.main], {"evil.txt": "x"})
        rogue = commit_tree(site.hub, [site.main, side], {"evil.txt": "x"})
        record = {**(read_evidence(site.hub, site.main) or {}), "candidate": rogue, "base": site.main}
        record["tree"] = str(site.hub[rogue].peel(pygit2.Commit).tree_id)
        write_note(site, rogue, json.dumps(seal(statement_of(record), KEY)))
        with pytest.raises(NotAllowed, match="not signed by this hub"):
            land(site.hub, "main", rogue)
        move_ref(site.hub, "refs/heads/main", rogue, site.main)
        with pytest.raises(EnvironmentProblem, match="moved past the gate"):
            adopt(site.paths, site.repository, "main")

    def test_moved_back(self, make_site: MakeSite) -> None:
        site = make_site('[project]\npublish = "none"\n' + CONFIG)
        good = land_one(site)
        adopt(site.paths, site.repository, "main")
        move_ref(site.hub, "refs/heads/main", site.main_at_start, good)
        with pytest.raises(EnvironmentProblem, match="moved back or rewritten") as raised:
            adopt(site.paths, site.repository, "main")
        assert f"update-ref refs/heads/main {good}" in (raised.value.hint or "")

    def test_rewritten_to_history_of_nobody(self, make_site: MakeSite) -> None:
        site = make_site('[project]\npublish = "none"\n' + CONFIG)
        land_one(site)
        other = commit_tree(site.hub, [], {"tapeout.toml": CONFIG})
        move_ref(site.hub, "refs/heads/main", other, site.main)
        with pytest.raises(EnvironmentProblem, match="moved past the gate"):
            adopt(site.paths, site.repository, "main")

    def test_several_that_landed_in_one_move_are_covered_by_the_last(self, site: Site) -> None:
        """The evidence of the second names a base below the first, which has none of its own."""
        start = site.main
        land_one(site)
        land_one(site, "b.txt")
        first, second = str(site.hub[site.main].peel(pygit2.Commit).parent_ids[0]), site.main
        record = read_evidence(site.hub, second) or {}
        attach(site.hub, second, {**record, "base": start})
        site.hub.lookup_note(first, NOTES_REF).remove(signature(), signature(), NOTES_REF)
        os.unlink(os.path.join(site.paths.trust, "audited"))
        assert adopt(site.paths, site.repository, "main").main == second
        kinds = [one.kind for one in verify_many(site.hub, site.paths, landings(site.hub, second))]
        assert kinds == ["landed", "covered", "adopted"]

    def test_what_landed_in_a_combination_is_in_order(self, make_site: MakeSite) -> None:
        site = make_site("[queue]\nslots = 2\n" + CONFIG)
        changes = [site.submit({f"{number}.txt": "x"}) for number in range(6)]
        site.run()
        assert [site.state(change) for change in changes] == ["landed"] * 6
        found = list(verify_many(site.hub, site.paths, landings(site.hub, site.main)))
        assert [one.problems for one in found] == [()] * 7
        assert {one.kind for one in found} == {"landed", "covered", "adopted"}
        for one in found:
            alone = verify(site.hub, site.paths, one.commit)
            assert (alone.kind, alone.problems) == (one.kind, ()), "each by itself too"

    def test_a_crash_does_not_make_the_hub_sign_what_somebody_else_wrote(self, site: Site) -> None:
        """A landing that was cut off gets its note from the one of the combination: only from a signed one."""
        land_one(site)
        change = site.submit({"bad.txt": "x"})
        site.tracker.set_gating(change.id, site.main_at_start)
        forged = json.loads(note_text(site, site.main))
        forged["payload"]["predicate"]["combination"] = [change.id]
        write_note(site, site.main, json.dumps(forged))
        settle(site.tracker, site.hub, site.main, site.tracker.change(change.id))
        assert read_note(site.hub, site.main_at_start) is None


class TestTrust:
    def test_a_damaged_key_stops_the_queue_with_what_to_do(self, site: Site) -> None:
        land_one(site)
        Path(site.paths.trust, "evidence.key").write_text("zz")
        change = site.submit({"b.txt": "x"})
        site.run()
        assert site.state(change) == "queued"
        assert "evidence.key cannot be read (restore it" in (site.tracker.queue_stopped() or "")

    def test_a_lost_key_is_replaced_and_what_it_signed_is_another_hubs(self, site: Site) -> None:
        commit = land_one(site)
        os.unlink(os.path.join(site.paths.trust, "evidence.key"))
        later = land_one(site, "b.txt")
        assert problems(site, commit) == ("its evidence is not signed by this hub",)
        assert problems(site, later) == ()

    def test_a_line_that_a_crash_cut_is_passed_over(self, tmp_path: Path) -> None:
        trust = Trust(str(tmp_path / "trust"))
        assert trust.adopted() is None
        first = Adopted("a" * 40, "", "start")
        trust.adopt(first)
        with open(tmp_path / "trust" / "adopted", "a") as file:
            file.write("bbbb")
        assert trust.adopted() == [first]
        second = Adopted("c" * 40, "a" * 40, "adopted")
        trust.adopt(second)
        assert trust.adopted() == [first, second]

    def test_a_file_system_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(source: str, target: str) -> None:
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
        trust = Trust(str(tmp_path / "trust"))
        assert trust.make_key() == trust.make_key()
        assert os.listdir(tmp_path / "trust") == ["evidence.key"]

    def test_many_who_make_the_key_at_once_get_the_same(self, tmp_path: Path) -> None:
        program = (
            "import sys; from tapeout.gate.evidence.trust import Trust; print(Trust(sys.argv[1]).make_key().hex())"
        )
        words = [sys.executable, "-c", program, str(tmp_path / "trust")]
        running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        keys = {process.communicate()[0] for process in running}
        assert len(keys) == 1
        assert os.listdir(tmp_path / "trust") == ["evidence.key"]
