"""`git push HUB HEAD:refs/for/main`: real pushes, and what must not come of them."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tapeout.base.caller import ATTEMPT_VARIABLE
from tapeout.base.paths import REPOSITORY_VARIABLE
from tapeout.gate import prepare_hub
from tapeout.gate.receive.setup import HOOKS
from tapeout.tracker import Draft
from tests.gate.pushing import clone, push, refs, refused
from tests.gate.site import ENV, Site, commit_files, git


class TestAPush:
    def test_enters_the_queue_with_an_issue_of_its_own_and_lands(self, site: Site, work: Path) -> None:
        done = push(site, work)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        (change,) = site.tracker.changes()
        issue = site.tracker.issue(change.issue)
        assert (issue.title, issue.body) == ("Add a", "Because it is needed.")
        assert (change.commit, change.base) == (git(work, "rev-parse", "HEAD"), site.main_at_start)
        assert f"remote: tapeout: filed issue {issue.id}: Add a" in done.stderr
        assert f"remote: tapeout: queued as change {change.id} for issue {issue.id}" in done.stderr
        assert "no floor runs: it is gated at the next `tapeout up`" in done.stderr
        site.run()
        assert site.state(change) == "landed"
        assert site.tracker.issue(issue.id).resolution == "landed"
        site.assert_main_is_validated()
        assert not site.tracker.attempts(running=True)

    @pytest.mark.parametrize("how", ["option", "trailer"])
    def test_for_an_issue_that_there_is(self, site: Site, work: Path, how: str) -> None:
        issue = site.tracker.create(Draft("Need an a"))
        if how == "option":
            done = push(site, work, f"-oissue={issue.id}")
        else:
            git(work, "commit", "-q", "--amend", "-m", f"Add a\n\nTapeout-Issue: {issue.id}")
            done = push(site, work)
        assert done.returncode == 0, done.stderr
        (change,) = site.tracker.changes()
        assert change.issue == issue.id
        assert "filed" not in done.stderr
        assert site.tracker.issue(issue.id).lease_owner is None
        assert [one.id for one in site.tracker.ready()] == [], "it waits for its verdict"

    def test_that_fails_stays_with_who_pushed_it_and_may_come_again(self, site: Site) -> None:
        work = clone(site)
        commit_files(work, {"bad.txt": "x"}, "Bad")
        assert push(site, work).returncode == 0
        site.run()
        (change,) = site.tracker.changes(("failed",))
        assert site.main == site.main_at_start
        assert site.tracker.issue(change.issue).lease_owner == "ada"
        assert site.tracker.ready() == [], "no agent takes it up"
        commit_files(work, {"bad.txt": None, "good.txt": "x"}, "Better")
        refused(push(site, work, f"-oissue={change.issue}", TAPEOUT_ACTOR="ben"), "is held by ada until")
        assert push(site, work, f"-oissue={change.issue}").returncode == 0
        site.run()
        assert site.tracker.issue(change.issue).resolution == "landed"

    def test_of_an_issue_that_the_pusher_holds_keeps_the_claim(self, site: Site, work: Path) -> None:
        issue = site.tracker.create(Draft("Need an a"))
        lease = site.tracker.claim(issue.id, owner="ada", seconds=600)
        assert push(site, work, f"-oissue={issue.id}").returncode == 0
        site.tracker.renew(lease)

    def test_the_same_again_is_in_the_queue_once(self, site: Site, work: Path) -> None:
        push(site, work)
        before = refs(site)
        again = push(site, work)
        assert again.returncode == 0
        assert "is queued already as change" in again.stderr
        assert len(site.tracker.changes()) == 1
        assert refs(site) == before

    def test_of_what_main_has_is_refused(self, site: Site, work: Path) -> None:
        refused(push(site, work, "HEAD~:refs/for/main"), "main has it already")
        push(site, work)
        site.run()
        refused(push(site, work), "main has it already")

    def test_tells_that_the_queue_is_stopped(self, site: Site, work: Path) -> None:
        site.tracker.stop_queue("the disk is full")
        done = push(site, work)
        assert done.returncode == 0
        assert "remote: tapeout: the queue is stopped: the disk is full" in done.stderr

    def test_over_ssh_runs_the_same_hooks(self, site: Site, work: Path) -> None:
        """The forced command of the guide, with a transport that is a program."""
        ssh = site.folder / "ssh"
        command = f"TAPEOUT_ACTOR=carl git receive-pack {shlex.quote(site.paths.hub)}"
        ssh.write_text(f"#!/bin/sh\nexec sh -c {shlex.quote(command)}\n")
        ssh.chmod(0o755)
        done = push(site, work, url=f"ssh://elsewhere{site.paths.hub}", GIT_SSH=str(ssh), GIT_SSH_VARIANT="simple")
        assert done.returncode == 0, done.stderr
        (change,) = site.tracker.changes()
        assert site.tracker.issue(change.issue).lease_owner == "carl"
        refused(push(site, work, "HEAD:main", url="ssh://elsewhere/x", GIT_SSH=str(ssh), GIT_SSH_VARIANT="simple"))

    def test_many_commits_fewer_objects_and_a_title(self, site: Site) -> None:
        work = clone(site)
        for number in range(5):
            commit_files(work, {f"{number}.txt": "x"}, f"Step {number}")
        assert push(site, work, "-otitle=All steps").returncode == 0
        (change,) = site.tracker.changes()
        assert site.tracker.issue(change.issue).title == "All steps"

    def test_with_hostile_text_writes_no_control_characters(self, site: Site) -> None:
        work = clone(site)
        git(work, "commit", "-q", "--allow-empty", "-m", "x")
        commit_files(work, {"a.txt": "x"}, "Red \x1b[31m\x07 alert " + "y" * 2000)
        done = push(site, work)
        assert done.returncode == 0
        assert "\x1b" not in done.stderr
        assert "\x07" not in done.stderr
        (change,) = site.tracker.changes()
        assert len(site.tracker.issue(change.issue).title) == 300


class TestRefused:
    @pytest.mark.parametrize(
        ("ref", "reason"),
        [
            ("HEAD:main", "main moves only to what has passed the gate"),
            ("+HEAD:main", "main moves only to what has passed the gate"),
            (":main", "nothing is deleted in the hub"),
            ("HEAD:refs/heads/other", "the hub keeps no branch but main"),
            ("HEAD:refs/tags/v1", "tags come from your own repository"),
            ("HEAD:refs/tapeout/candidates/x", "only the hub writes it"),
            ("HEAD:refs/notes/tapeout", "only the hub writes it"),
            ("HEAD:refs/for/other", "the hub lands on main, not on 'other'"),
            ("HEAD:refs/for/main/x", "the hub lands on main, not on 'main/x'"),
            ("HEAD:refs/for/\x80\u202e", "the hub lands on main"),
        ],
    )
    def test_with_what_to_do(self, site: Site, work: Path, ref: str, reason: str) -> None:
        before = refs(site)
        done = push(site, work, "--force", ref)
        refused(done, reason, "git push HUB HEAD:refs/for/main")
        assert refs(site) == before
        assert not site.tracker.changes()
        assert git(site.paths.hub, "count-objects").startswith("9 objects") or not _has(site, work)

    def test_what_is_refused_takes_the_rest_of_the_push_with_it(self, site: Site, work: Path) -> None:
        refused(push(site, work, "HEAD:refs/for/main", "HEAD:refs/heads/other"), "the hub keeps no branch")
        assert not site.tracker.changes()

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (["-ocolour=red"], "unknown push option 'colour=red'"),
            (["-oissue"], "the push option issue has no value"),
            (["-oissue= "], "the push option issue has no value"),
            (["-oissue=nosuch"], "there is no issue 'nosuch'"),
            (["-oissue=a", "-oissue=b"], "given twice"),
            (["-oissue=a", "-otitle=b"], "either"),
            (["-o$(touch ran)"], "unknown push option"),
            (["-oissue=%s%n\x1b[31m"], "there is no issue"),
            (["-o" + "x" * 5000], "unknown push option 'xxx"),
        ],
    )
    def test_options(self, site: Site, work: Path, options: list[str], reason: str) -> None:
        done = push(site, work, *options)
        refused(done, reason)
        assert "\x1b" not in done.stderr
        assert not site.tracker.changes()
        assert not (work / "ran").exists()

    def test_a_closed_issue(self, site: Site, work: Path) -> None:
        issue = site.tracker.create(Draft("Done"))
        site.tracker.close_issue(issue.id, "done")
        refused(push(site, work, f"-oissue={issue.id}"), "is closed (done)", "reopen")

    def test_unrelated_history(self, site: Site) -> None:
        other = site.folder / "other"
        git(site.folder, "init", "-q", "-b", "main", "other")
        commit_files(other, {"x": "x"})
        before = git(site.paths.hub, "count-objects")
        refused(push(site, other), "its history is unrelated to main")
        assert git(site.paths.hub, "count-objects") == before, "nothing of it got in"

    def test_a_tag_a_blob(self, site: Site, work: Path) -> None:
        git(work, "tag", "-a", "v1", "-m", "x")
        refused(push(site, work, "v1:refs/for/main"), "is no commit")
        refused(push(site, work, "HEAD:a.txt:refs/for/main"))
        blob = git(work, "rev-parse", "HEAD:a.txt")
        refused(push(site, work, f"{blob}:refs/for/main"), "is no commit")

    def test_a_shallow_clone_whose_history_is_incomplete(self, site: Site) -> None:
        for number in range(3):
            commit_files(site.root, {f"{number}.txt": "x"})
        shallow = clone(site, "shallow", "--depth=1")
        commit_files(shallow, {"a.txt": "x"})
        refused(push(site, shallow))
        assert not site.tracker.changes()
        prepare_hub(site.paths, site.repository, "main")
        done = push(site, shallow)
        assert done.returncode == 0, "the hub has what the clone lacks"
        assert not os.path.exists(os.path.join(site.paths.hub, "shallow"))

    def test_a_huge_one(self, site: Site) -> None:
        git(site.paths.hub, "config", "receive.maxInputSize", "100000")
        prepare_hub(site.paths, site.repository, "main")
        work = clone(site)
        (work / "noise").write_bytes(os.urandom(300_000))
        commit_files(work, {})
        refused(push(site, work), "exceeds maximum allowed size")
        assert not site.tracker.changes()

    def test_objects_that_git_finds_damaged(self, site: Site) -> None:
        work = clone(site)
        blob = git(work, "rev-parse", "HEAD:README.md")
        tree = subprocess.run(
            ["git", "mktree"], cwd=work, env=ENV, input=f"100644 blob {blob}\t.git\n", text=True,
            capture_output=True, check=True,
        ).stdout.strip()  # fmt: skip
        commit = git(work, "commit-tree", tree, "-p", "HEAD", "-m", "evil")
        refused(push(site, work, f"{commit}:refs/for/main"), "hasDotgit")
        assert not site.tracker.changes()

    def test_an_agent_at_work(self, site: Site, work: Path) -> None:
        env = {ATTEMPT_VARIABLE: "a-1", REPOSITORY_VARIABLE: str(site.root)}
        refused(push(site, work, **env), "agents at work do not push")

    def test_settings_of_the_pusher_do_not_replace_the_hooks(self, site: Site, work: Path) -> None:
        config = site.folder / "gitconfig"
        config.write_text("[core]\n\thooksPath = /nowhere\n[receive]\n\tprocReceiveRefs = refs/other\n")
        env = {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_PARAMETERS": "'core.hooksPath=/nowhere'"}
        refused(push(site, work, "HEAD:main", **env), "main moves only to what has passed the gate")
        assert push(site, work, **env).returncode == 0
        assert len(site.tracker.changes()) == 1

    def test_hooks_of_the_workspace_do_not_run(self, site: Site, work: Path) -> None:
        for name in (*HOOKS, "update", "post-receive", "reference-transaction"):
            hook = work / ".git" / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(f"#!/bin/sh\necho $0 >> {site.folder}/ran\n")
            hook.chmod(0o755)
        assert push(site, work).returncode == 0
        ran = site.folder / "ran"
        assert not ran.exists() or site.paths.hub not in ran.read_text()


def _has(site: Site, work: Path) -> bool:
    commit = git(work, "rev-parse", "HEAD")
    return git(site.paths.hub, "cat-file", "--batch-check", "--batch-all-objects").find(commit) >= 0
