"""`git push HUB HEAD:refs/for/main`: real pushes, and what must not come of them."""

import contextlib
import fcntl
import io
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.caller import ATTEMPT_VARIABLE
from tapeout.base.errors import NotAllowed, UsageError
from tapeout.base.faults import CRASH_VARIABLE
from tapeout.base.packing import LOCK, pack_if_scattered, pack_whole
from tapeout.base.paths import REPOSITORY_VARIABLE
from tapeout.gate import prepare_hub
from tapeout.gate.receive.pktline import BadPacketError, packet, read_section, section
from tapeout.gate.receive.request import (
    Command,
    draft_text,
    parse_command,
    parse_options,
    refusal,
    trailer_issue,
    wanted,
)
from tapeout.gate.receive.setup import HOOKS, hook_text
from tapeout.tracker import Draft
from tests.gate.conftest import MakeSite
from tests.gate.site import CONFIG, ENV, Site, commit_files, git

Pushed: TypeAlias = "subprocess.CompletedProcess[str]"


def clone(site: Site, name: str = "clone", *options: str) -> Path:
    git(site.folder, "clone", "-q", *options, f"file://{site.root}", name)
    return site.folder / name


def push(site: Site, folder: Path, *words: str, url: str | None = None, **env: str) -> Pushed:
    where = url or site.paths.hub
    options = [word for word in words if word.startswith("-")]
    refs = [word for word in words if not word.startswith("-")] or ["HEAD:refs/for/main"]
    return subprocess.run(
        ["git", "push", *options, where, *refs],
        cwd=folder, env={**ENV, "TAPEOUT_ACTOR": "ada", **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def refused(done: Pushed, *reasons: str) -> None:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    for reason in reasons:
        assert reason in done.stderr


def refs(site: Site) -> str:
    return git(site.paths.hub, "for-each-ref")


@pytest.fixture
def work(site: Site) -> Path:
    """A clone with one commit to push."""
    folder = clone(site)
    commit_files(folder, {"a.txt": "x\n"}, "Add a\n\nBecause it is needed.")
    return folder


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


class TestKilled:
    @pytest.mark.parametrize("step", ["checked", "kept", "submitted"])
    def test_at_a_step_the_same_push_again_is_in_the_queue_once(self, site: Site, work: Path, step: str) -> None:
        refused(push(site, work, **{CRASH_VARIABLE: f"push.{step}"}))
        issues = len(site.tracker.issues())
        assert issues == len(site.tracker.changes()) == (1 if step == "submitted" else 0)
        assert push(site, work).returncode == 0
        (change,) = site.tracker.changes()
        assert len(site.tracker.issues()) == 1
        site.run()
        assert site.state(change) == "landed"
        assert not site.tracker.attempts(running=True)


class TestAtOnce:
    def test_two_pushes(self, site: Site) -> None:
        folders = [clone(site, f"clone{number}") for number in range(2)]
        for number, folder in enumerate(folders):
            commit_files(folder, {f"{number}.txt": "x"})
        running = [
            subprocess.Popen(["git", "push", "-q", site.paths.hub, "HEAD:refs/for/main"], cwd=one, env=ENV, stderr=-3)
            for one in folders
        ]
        assert [process.wait() for process in running] == [0, 0]
        assert len(site.tracker.changes()) == 2
        site.run()
        assert not site.tracker.changes()
        site.assert_main_is_validated()

    def test_the_same_commit_from_several_is_in_the_queue_once(self, site: Site, work: Path) -> None:
        words = ["git", "push", "-q", site.paths.hub, "HEAD:refs/for/main"]
        running = [subprocess.Popen(words, cwd=work, env=ENV, stderr=-3) for _ in range(4)]
        assert [process.wait() for process in running] == [0, 0, 0, 0]
        assert len(site.tracker.changes()) == 1
        assert len(site.tracker.issues()) == 1

    def test_fifty_in_a_row_and_the_packs_of_the_hub_stay_few(self, site: Site, work: Path) -> None:
        for number in range(51):
            git(work, "reset", "-q", "--hard", "origin/main")
            commit_files(work, {f"{number}.txt": "x"}, f"Change {number}")
            done = push(site, work)
            assert done.returncode == 0, done.stderr
        assert len(site.tracker.changes()) == 51
        assert pack_if_scattered(site.paths.hub)
        packs = [name for name in os.listdir(site.folder / "state/hub.git/objects/pack") if name.endswith(".pack")]
        assert len(packs) < 5
        git(site.paths.hub, "fsck", "--connectivity-only")

    def test_while_the_hub_is_packed(self, site: Site, work: Path) -> None:
        stop = site.folder / "stop"
        with _packing(site, stop):
            for number in range(8):
                git(work, "reset", "-q", "--hard", "origin/main")
                commit_files(work, {f"{number}.txt": "x"}, f"Change {number}")
                done = push(site, work)
                assert done.returncode == 0, done.stderr
        assert len(site.tracker.changes()) == 8
        git(site.paths.hub, "fsck", "--connectivity-only")
        site.run()
        assert not site.tracker.changes()

    def test_while_somebody_links_the_hubs_objects(self, site: Site, work: Path) -> None:
        with open(os.path.join(site.paths.hub, LOCK)) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            assert push(site, work).returncode == 0
        assert pack_whole(site.paths.hub)


@contextlib.contextmanager
def _packing(site: Site, stop: Path) -> Iterator[None]:
    """Somebody packs the hub again and again."""
    import sys

    program = (
        "import os, sys; from tapeout.base.packing import pack_whole\n"
        "while not os.path.exists(sys.argv[2]): pack_whole(sys.argv[1])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, site.paths.hub, str(stop)], env=ENV)
    try:
        yield
    finally:
        stop.touch()
        assert process.wait() == 0


class TestSetup:
    def test_hooks_and_settings_are_put_right_again(self, site: Site, work: Path) -> None:
        hooks = Path(site.paths.hub, "hooks")
        (hooks / "pre-receive").write_text("#!/bin/sh\nexit 0\n")
        (hooks / "proc-receive").unlink()
        git(site.paths.hub, "config", "core.hooksPath", "/nowhere")
        git(site.paths.hub, "config", "receive.maxInputSize", "5000")
        prepare_hub(site.paths, site.repository, "main")
        for name in HOOKS:
            assert (hooks / name).read_text() == hook_text(name)
            assert os.access(hooks / name, os.X_OK)
        assert git(site.paths.hub, "config", "receive.maxInputSize") == "5000", "a person's own limit stays"
        assert push(site, work).returncode == 0

    def test_another_target_branch(self, make_site: MakeSite) -> None:
        site = make_site('[project]\nbranch = "main"\n' + CONFIG)
        git(site.root, "branch", "team/trunk")
        prepare_hub(site.paths, site.repository, "team/trunk")
        work = clone(site)
        commit_files(work, {"a.txt": "x"})
        refused(push(site, work), "the hub lands on team/trunk", "HEAD:refs/for/team/trunk")
        assert push(site, work, "HEAD:refs/for/team/trunk").returncode == 0


class TestParsers:
    @given(st.lists(st.binary(max_size=100)))
    def test_packets_come_back(self, payloads: list[bytes]) -> None:
        stream = io.BytesIO(section([payload + b"\n" for payload in payloads]) + b"rest")
        assert read_section(stream) == payloads
        assert stream.read() == b"rest"

    @given(st.binary(max_size=200))
    def test_any_stream_ends_in_packets_or_one_error(self, data: bytes) -> None:
        with contextlib.suppress(BadPacketError):
            read_section(io.BytesIO(data))

    def test_a_packet_has_an_end(self) -> None:
        assert packet(b"") == b"0004"
        with pytest.raises(ValueError):
            packet(b"x" * 65_517)

    @given(st.binary())
    def test_any_line_is_a_command_or_an_error(self, line: bytes) -> None:
        with contextlib.suppress(UsageError):
            command = parse_command(line)
            assert len(command.new) in (40, 64)

    @given(ref=st.text(min_size=1), new=st.sampled_from(["0" * 40, "a" * 40]))
    def test_nothing_but_refs_for_the_branch_is_taken(self, ref: str, new: str) -> None:
        taken = refusal(Command("0" * 40, new, ref), "main") == ""
        assert taken == (ref == "refs/for/main" and new == "a" * 40)
        if not taken:
            with pytest.raises(NotAllowed) as raised:
                wanted([Command("0" * 40, new, ref)], "main")
            assert raised.value.message.isprintable()

    def test_one_push_one_change(self) -> None:
        command = Command("0" * 40, "a" * 40, "refs/for/main")
        assert wanted([command], "main") == command
        for several in ([], [command, command]):
            with pytest.raises(NotAllowed):
                wanted(several, "main")

    @given(st.lists(st.text() | st.builds("{}={}".format, st.sampled_from(["issue", "title", "x"]), st.text())))
    def test_any_options_are_options_or_one_line(self, options: list[str]) -> None:
        halves = [option.partition("=") for option in options]
        good = [name in ("issue", "title") and bool(value.strip()) for name, _, value in halves]
        if good in ([], [True]):
            assert any(parse_options(options)) == any(good)
        else:
            with pytest.raises(UsageError) as raised:
                parse_options(options)
            assert raised.value.message.isprintable()

    @given(message=st.text(), issue=st.from_regex(r"[a-z0-9]{10}", fullmatch=True))
    def test_a_trailer_is_found_in_the_last_paragraph_only(self, message: str, issue: str) -> None:
        with contextlib.suppress(UsageError):
            trailer_issue(message)
        subject = "Subject"
        assert trailer_issue(f"{subject}\n\nText.\n\nSigned-off-by: a\ntapeout-issue:  {issue} \n") == issue
        assert trailer_issue(f"{subject}\n\nTapeout-Issue: {issue}\n\nText.\n") is None
        assert trailer_issue(f"Tapeout-Issue: {issue}\n") is None, "a subject is no trailer"

    def test_two_issues_in_one_message(self) -> None:
        with pytest.raises(UsageError, match="several issues"):
            trailer_issue("x\n\nTapeout-Issue: a\nTapeout-Issue: b")

    @given(st.text(), st.none() | st.text(min_size=1))
    def test_any_message_makes_an_issue(self, message: str, title: str | None) -> None:
        named, body = draft_text(message, "a" * 40, title)
        assert 0 < len(named) <= 300
        assert "\0" not in named + body
