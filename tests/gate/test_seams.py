"""Where the parts of the gate meet: what no part alone lets in must not get in between two of them."""

import pygit2
import pytest

from tapeout.gate import lander
from tapeout.tracker import Draft
from tapeout.tracker.model import Change
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, Site, commit_files, commit_tree, git
from tests.gate.test_push import clone, push

ONE_SLOT = "\n[queue]\nslots = 1\n"
"""All that waits is one combination."""


def submit(site: Site, draft: Draft, *steps: dict[str, str | None], allowed: tuple[str, ...] = ()) -> Change:
    """A change of one commit a step."""
    issue = site.tracker.create(draft)
    for permission in allowed:
        site.tracker.allow(issue.id, permission)
    commit = base = site.main
    for files in steps:
        commit = commit_tree(site.hub, [commit], files)
    attempt = f"{issue.id}-1"
    lease = site.tracker.claim(issue.id, owner=attempt)
    site.tracker.start_attempt(lease, attempt, agent="scripted", host="here", pid=1, pid_started=0.0)
    return site.tracker.submit(lease, attempt, commit=commit, base=base)


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
        issue = site.tracker.create(Draft("Clean"))
        lease = site.tracker.claim(issue.id, owner=f"{issue.id}-1")
        site.tracker.start_attempt(lease, f"{issue.id}-1", agent="scripted", host="here", pid=1, pid_started=0.0)
        clean = commit_tree(site.hub, [leak.commit], {"a.txt": "nothing\n"})
        site.tracker.submit(lease, f"{issue.id}-1", commit=clean, base=site.main)
        site.run()
        assert site.state(leak) == "failed"
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

    def test_a_path(self, site: Site) -> None:
        odd = site.submit_commit(self.commit(site, "x\n"), site.main)
        site.run()
        print(site.state(odd), site.tracker.change(odd.id).verdict, site.tracker.queue_stopped())
        assert site.state(odd) in {"landed", "failed"}
        assert site.tracker.queue_stopped() is None

    def test_paths_that_conflict(self, site: Site) -> None:
        first = site.submit_commit(self.commit(site, "x\n"), site.main, title="one")
        second = site.submit_commit(self.commit(site, "y\n"), site.main, title="two")
        other = site.submit({"b.txt": "x"})
        site.run()
        print(site.state(first), site.state(second), site.tracker.change(first.id).verdict)
        assert site.state(other) == "landed"

    @pytest.mark.parametrize(("headers", "message"), [(b"", b"caf\xe9 is open\n"), (b"encoding nonsense\n", b"abc\n")])
    def test_a_message(self, make_site: MakeSite, headers: bytes, message: bytes) -> None:
        site = make_site(builtin("commits"))
        odd = site.submit_commit(self.commit(site, "x\n", path=b"a.txt", headers=headers, message=message), site.main)
        other = site.submit({"b.txt": "x"})
        site.run()
        print(site.state(odd), site.tracker.change(odd.id).verdict, site.tracker.queue_stopped())
        assert site.state(other) == "landed"
        assert site.state(odd) == "landed"

    @pytest.mark.parametrize(("headers", "message"), [(b"", b"caf\xe9 is open\n"), (b"encoding nonsense\n", b"abc\n")])
    def test_a_pushed_message(self, site: Site, headers: bytes, message: bytes) -> None:
        commit = self.commit(site, "x\n", path=b"a.txt", headers=headers, message=message)
        folder = clone(site)
        git(folder, "fetch", "-q", site.paths.hub, "+refs/heads/*:refs/h/*")
        raw = site.hub.odb.read(commit)
        for kind in ("tree",):
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
