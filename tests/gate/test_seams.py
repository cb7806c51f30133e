"""Where the parts of the gate meet: what no part alone lets in must not get in between two of them."""

from collections.abc import Mapping

import pygit2
import pytest

from tapeout.base.git import import_objects
from tapeout.gate import lander, run_gate_here
from tapeout.gate.evidence.rerun import rerun
from tapeout.gate.stacking import judges_later_ones
from tapeout.tracker import Draft
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.pushing import clone, push
from tests.gate.site import CONFIG, Site, commit_files, commit_tree, git

ONE_SLOT = "\n[queue]\nslots = 1\n"
"""All that waits is one combination."""


def submit(
    site: Site,
    draft: Draft,
    files: Mapping[str, str | None],
    *,
    onto: Change | None = None,
    allowed: tuple[str, ...] = (),
) -> Change:
    """A change that holds another one, if `onto` says so."""
    issue = site.tracker.create(draft)
    if allowed:
        site.tracker.allow(issue.id, allowed)
    commit = commit_tree(site.hub, [onto.commit if onto else site.main], files)
    attempt = f"{issue.id}-1"
    lease = site.tracker.claim(issue.id, owner=attempt)
    site.tracker.start_attempt(lease, attempt, agent="scripted", host="here", pid=1, pid_started=0.0)
    return site.tracker.submit(lease, attempt, commit=commit, base=site.main)


def builtin(*kinds: str, gate: str = "") -> str:
    tables = "".join(f'[[check]]\nname = "{kind}"\nkind = "{kind}"\n' for kind in kinds)
    return f"{CONFIG}\n{tables}\n{gate}\n{ONE_SLOT}"


class TestBuiltInChecksOfCombinations:
    @pytest.mark.parametrize("other", [(), ("docs/**",)])
    def test_the_scope_of_one_change_is_no_excuse_for_another(
        self, make_site: MakeSite, other: tuple[str, ...]
    ) -> None:
        site = make_site(builtin("scope"))
        outside = submit(site, Draft("Outside", scope=("src/**",)), {"docs/a.md": "a\n"})
        good = submit(site, Draft("Good", scope=other), {"docs/b.md": "b\n"})
        site.run()
        assert (site.state(outside), site.state(good)) == ("failed", "landed")

    def test_a_secret_does_not_get_into_history_because_a_later_change_takes_it_out(self, make_site: MakeSite) -> None:
        site = make_site(builtin("secrets"))
        key = "ghp_" + "aB3dE5gH7jK9" * 3
        leak = submit(site, Draft("Leak"), {"a.txt": f"{key}\n"})
        clean = submit(site, Draft("Clean"), {"a.txt": "nothing\n"}, onto=leak)
        site.run()
        assert (site.state(leak), site.state(clean)) == ("failed", "failed")
        assert site.main == site.main_at_start


class TestAnIssueThatIsClosedMeanwhile:
    @pytest.mark.parametrize("moment", ["landing.moved", "landing.candidate", "landing.gating", "landing.checked"])
    def test_the_queue_goes_on(self, site: Site, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        closed, other = site.submit({"a.txt": "x"}), site.submit({"b.txt": "x"})

        def close(name: str) -> None:
            if name == moment and site.state(closed) in {"queued", "gating", "passed"}:
                site.tracker.close_issue(closed.issue, "wontfix")

        monkeypatch.setattr(lander, "point", close)
        site.run()
        assert site.tracker.queue_stopped() is None
        assert site.state(other) == "landed"
        site.run()
        later = site.submit({"c.txt": "x"})
        site.run()
        assert site.state(later) == "landed"
        assert (site.state(closed) == "landed") == bool(site.merges_of(closed))
        site.assert_main_is_validated()


class TestTextOfNoEncoding:
    """Paths and messages are bytes to git, and anybody's."""

    PATH = b"caf\xe9.txt"

    def commit(self, site: Site, text: str, *, path: bytes = PATH, headers: bytes = b"", message: bytes = b"m") -> str:
        blob = git(site.paths.hub, "rev-parse", f"{site.main_at_start}:README.md")
        if text:
            blob = str(site.hub.create_blob(text.encode()))
        entries = b"100644 tapeout.toml\0" + bytes.fromhex(
            git(site.paths.hub, "rev-parse", f"{site.main_at_start}:tapeout.toml")
        )
        entry = b"100644 " + path + b"\0" + bytes.fromhex(blob)
        readme = b"100644 README.md\0" + bytes.fromhex(
            git(site.paths.hub, "rev-parse", f"{site.main_at_start}:README.md")
        )
        tree = str(site.hub.odb.write(pygit2.enums.ObjectType.TREE, readme + entry + entries))
        who = b"a <a@b> 1700000000 +0000"
        raw = b"tree %b\nparent %b\nauthor %b\ncommitter %b\n%b\n%b" % (
            tree.encode(), site.main_at_start.encode(), who, who, headers, message,
        )  # fmt: skip
        return str(site.hub.odb.write(pygit2.enums.ObjectType.COMMIT, raw))

    def test_paths_that_conflict(self, site: Site) -> None:
        site.submit_commit(self.commit(site, "x\n"), site.main, title="one")
        site.submit_commit(self.commit(site, "y\n"), site.main, title="two")
        other = site.submit({"b.txt": "x"})
        site.run()
        assert site.state(other) == "landed"

    @pytest.mark.parametrize(("headers", "message"), [(b"", b"caf\xe9 is open\n"), (b"encoding nonsense\n", b"abc\n")])
    def test_a_message(self, make_site: MakeSite, headers: bytes, message: bytes) -> None:
        site = make_site(builtin("commits"))
        odd = site.submit_commit(self.commit(site, "x\n", path=b"a.txt", headers=headers, message=message), site.main)
        other = site.submit({"b.txt": "x"})
        site.run()
        assert site.state(other) == "landed"
        assert site.state(odd) == "landed"

    @pytest.mark.parametrize(("headers", "message"), [(b"", b"caf\xe9 is open\n"), (b"encoding nonsense\n", b"abc\n")])
    def test_a_pushed_message(self, site: Site, headers: bytes, message: bytes) -> None:
        commit = self.commit(site, "x\n", path=b"a.txt", headers=headers, message=message)
        folder = clone(site)
        git(folder, "fetch", "-q", site.paths.hub, "+refs/heads/*:refs/h/*")
        raw = site.hub.odb.read(commit)
        tree = str(site.hub[commit].peel(pygit2.Commit).tree_id)
        here = pygit2.Repository(str(folder))
        here.odb.write(pygit2.enums.ObjectType.BLOB, b"x\n")
        here.odb.write(pygit2.enums.ObjectType.TREE, site.hub.odb.read(tree)[1])
        here.odb.write(pygit2.enums.ObjectType.COMMIT, raw[1])
        done = push(site, folder, f"{commit}:refs/for/main")
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr


def test_a_push_that_names_its_issue_in_the_message_lands(site: Site) -> None:
    issue = site.tracker.create(Draft("Do it"))
    folder = clone(site)
    commit_files(folder, {"a.txt": "x"}, f"Do it\n\nTapeout-Issue: {issue.id}")
    done = push(site, folder)
    assert done.returncode == 0, done.stderr
    site.run()
    (change,) = site.tracker.all_changes(issue.id)
    assert site.state(change) == "landed", site.verdict(change)


TESTED = """
[[check]]
name = "unit"
kind = "test"
run = "sh tests/test_all.sh && echo 3 passed"

[queue]
slots = 1
"""


def expects(*lines: str) -> str:
    return "set -e\n" + "".join(f"grep -q {line} code.txt\n" for line in lines)


class TestBaseTestsOfCombinations:
    """The tests of the target branch are run on a change as if those below it had landed."""

    def test_what_one_may_change_is_not_held_against_the_next(self, make_site: MakeSite) -> None:
        site = make_site(TESTED, **{"tests__test_all.sh": expects("one"), "code.txt": "one\n"})
        meant = submit(
            site, Draft("Meant"), {"code.txt": "two\n", "tests/test_all.sh": expects("two")}, allowed=("tests",)
        )
        added = submit(site, Draft("More"), {"tests/test_all.sh": expects("two", "two")}, onto=meant)
        site.run()
        assert (site.state(meant), site.state(added)) == ("landed", "landed")

    def test_the_tests_of_a_change_below_count(self, make_site: MakeSite) -> None:
        site = make_site(TESTED, **{"tests__test_all.sh": expects("one"), "code.txt": "one\n"})
        first = submit(site, Draft("First"), {"code.txt": "one\ntwo\n", "tests/test_all.sh": expects("one", "two")})
        edited = {"code.txt": "one\nthree\n", "tests/test_all.sh": expects("one", "three")}
        breaks = submit(site, Draft("Breaks what the first did"), edited, onto=first)
        site.run()
        assert (site.state(first), site.state(breaks)) == ("landed", "failed"), site.tracker.change(breaks.id).verdict


class TestRunningALandedCombinationAgain:
    def test_it_is_judged_as_it_was_when_it_landed(self, make_site: MakeSite) -> None:
        site = make_site(builtin("size", gate="[gate]\nmost_lines = 3\n"))
        first = submit(site, Draft("First"), {"a.txt": "1\n2\n"})
        second = submit(site, Draft("Second"), {"b.txt": "1\n2\n"})
        site.run()
        assert (site.state(first), site.state(second)) == ("landed", "landed")
        record = site.evidence(site.main)
        assert record is not None
        assert len(record["combination"]) == 2
        assert rerun(site.hub, site.paths, record, site.main, "main") == []


class TestACachedPass:
    def test_does_not_count_where_most_tests_of_the_target_branch_are_gone(self, make_site: MakeSite) -> None:
        config = CONFIG.replace("echo 3 passed", "cat cou*.txt")
        site = make_site(config, **{"count.txt": "5 passed\n"})
        commit_files(site.root, {"count.txt": "40 passed\n"})
        commit_files(site.root, {"count.txt": "5 passed\n", "a.txt": "x\n"})
        assert run_gate_here(site.paths, site.repository).passed
        git(site.root, "reset", "-q", "--hard", "HEAD^")
        assert run_gate_here(site.paths, site.repository).passed
        more = site.submit({"b.txt": "x\n"})
        site.run()
        assert site.state(more) == "landed"
        fewer = site.submit({"b.txt": None, "a.txt": "x\n", "count.txt": "5 passed\n"})
        site.run()
        assert site.state(fewer) == "failed"
        assert "tests" in site.verdict(fewer)["reason"]


class TestAGateFileThatIsPutBack:
    def test_a_change_that_undoes_an_adopted_edit_of_it_is_the_last_of_its_combination(self, site: Site) -> None:
        edited = commit_files(site.root, {"tapeout.toml": CONFIG + "\n# stricter\n"})
        undone = commit_files(site.root, {"tapeout.toml": CONFIG, "a.txt": "x\n"})
        git(site.root, "reset", "-q", "--hard", edited)
        import_objects(site.hub, str(site.root), [f"{edited}:refs/x/edited"])
        git(site.root, "branch", "undone", undone)
        git(site.paths.hub, "fetch", "-q", str(site.root), "undone:refs/x/undone")
        issue = site.tracker.create(Draft("Undo"))
        site.tracker.allow(issue.id, ("gate",))
        lease = site.tracker.claim(issue.id, owner=f"{issue.id}-1")
        site.tracker.start_attempt(lease, f"{issue.id}-1", agent="scripted", host="here", pid=1, pid_started=0.0)
        change = site.tracker.submit(lease, f"{issue.id}-1", commit=undone, base=site.main_at_start)
        assert judges_later_ones(site.hub, edited, change)
