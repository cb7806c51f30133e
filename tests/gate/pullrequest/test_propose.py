"""Landed work as a pull request: a real remote, and a `gh` whose forge is a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tapeout.base.faults import CRASH_VARIABLE
from tapeout.base.git import is_ancestor
from tapeout.gate import Published, Skipped, adopt, load_config, publish
from tapeout.gate.evidence.audit import ensure_in_order
from tapeout.gate.evidence.verify import landings, verify_many
from tests.gate.conftest import MakeSite
from tests.gate.pullrequest.forge import OURS, Forge
from tests.gate.site import CONFIG, ENV, Site, commit_files, git
from tests.gate.test_crash import start_job

PUBLISH = '[project]\npublish = "pull-request"\n' + CONFIG


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(PUBLISH)


@pytest.fixture
def forge(site: Site, monkeypatch: pytest.MonkeyPatch) -> Forge:
    made = Forge(site)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("GH_REPO", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return made


def land(site: Site, name: str, *, title: str = "Do it", text: str = "x\n") -> str:
    change = site.submit({name: text}, title=title)
    site.run()
    assert site.state(change) == "landed", site.tracker.queue_stopped()
    return site.main


def ask(site: Site) -> Published | Skipped | None:
    """As `tapeout publish` does."""
    return publish(site.paths, site.repository, load_config(site.hub, site.main), site.tracker, anew=True)


def try_again(site: Site) -> Published | Skipped | None:
    """As the next run of the queue does."""
    return publish(site.paths, site.repository, load_config(site.hub, site.main), site.tracker, quiet=True)


def reason(site: Site) -> str:
    found = ask(site)
    assert isinstance(found, Skipped)
    assert found.reason == site.tracker.unpublished()
    assert "\n" not in found.reason
    return found.reason


def test_what_landed_is_proposed_with_its_evidence(site: Site, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "secret")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    commit = land(site, "a.txt", title="Greet by name")
    (request,) = forge.requests()
    assert (request["state"], request["base"], request["title"]) == ("OPEN", "main", "Greet by name")
    assert forge.commit(OURS) == commit
    assert forge.commit() == site.main_at_start, "only people merge"
    assert git(site.root, "rev-parse", "main") == site.main_at_start
    evidence = site.evidence(commit)
    assert evidence is not None
    for fact in ("`Greet by name`", commit, evidence["run"], evidence["issue"], "`unit` passed"):
        assert fact in request["body"]
    assert site.tracker.unpublished() is None
    (event,) = [one for one in site.events() if one.data["what"] == "published"]
    assert event.data["pull_request"] == request["url"]
    assert all(call["environment"]["GH_TOKEN"] == "secret" for call in forge.calls())
    assert not any("GIT_DIR" in call["environment"] for call in forge.calls())
    assert all("secret" not in " ".join(call["arguments"]) for call in forge.calls())


def test_more_that_lands_brings_the_same_one_up_to_date(site: Site, forge: Forge) -> None:
    land(site, "a.txt", title="First")
    commit = land(site, "b.txt", title="Second")
    (request,) = forge.requests()
    assert request["title"] == "2 changes: Second; First"
    assert forge.actions() == ["list", "create", "list", "edit"]
    assert request["body"].count("  - run ") == 2
    assert forge.commit(OURS) == commit


def test_changes_that_landed_together_are_all_named(site: Site, forge: Forge) -> None:
    for number in range(4):
        site.submit({f"{number}.txt": "x"}, title=f"Number {number}")
    site.run()
    (request,) = forge.requests()
    assert all(request["body"].count(f"`Number {number}`") == 1 for number in range(4))
    assert request["body"].count("`unit` passed") == 4


def test_nothing_runs_when_nothing_changed(site: Site, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = land(site, "a.txt")
    config = load_config(site.hub, site.main)
    monkeypatch.setenv("PATH", "/nonexistent")  # neither git nor gh
    assert publish(site.paths, site.repository, config, site.tracker) == Published(commit)
    assert site.tracker.unpublished() is None


@pytest.mark.parametrize(
    ("how", "pulls"),
    [("fast-forward", False), ("merge", True), ("merge", False), ("squash", True), ("squash", False), ("rebase", True)],
)
def test_merged_on_the_forge_the_next_one_has_only_what_is_new(site: Site, forge: Forge, how: str, pulls: bool) -> None:
    """Whoever pulls what was merged has the forge delete the branch, too."""
    land(site, "README.md", title="First", text="hello\nfirst\n")
    merged = forge.merge(how, delete=pulls)
    if pulls:
        git(site.root, "pull", "-q", "--ff-only", "origin", "main")
    commit = land(site, "README.md", title="Second", text="hello\nsecond\n")
    old, new = forge.requests()
    assert (old["state"], new["state"], new["title"]) == ("MERGED", "OPEN", "Second")
    assert "First" not in new["body"]
    tip = forge.commit(OURS)
    assert tip == site.main
    assert git(forge.remote, "diff", "--stat", tip, commit) == "", "the files that were gated"
    forge.merge(how)
    assert git(forge.remote, "show", "main:README.md") == "hello\nsecond"
    assert isinstance(ask(site), Published)
    assert len(forge.requests()) == 2
    ensure_in_order(site.hub, "main")
    assert all(one.is_good for one in verify_many(site.hub, site.paths, landings(site.hub, site.main)))
    git(site.root, "pull", "-q", "--ff-only", "origin", "main")
    found = adopt(site.paths, site.repository, "main")
    assert found.diverged is None
    assert is_ancestor(site.hub, merged, site.main) or (how == "merge" and not pulls)


def test_a_squash_is_joined_when_somebody_asks(site: Site, forge: Forge) -> None:
    commit = land(site, "a.txt")
    merged = forge.merge("squash")
    assert ask(site) == Published(site.main)
    assert git(site.paths.hub, "rev-parse", "main^1", "main^2") == f"{commit}\n{merged}"
    assert git(site.paths.hub, "diff", commit, "main") == ""
    assert forge.actions() == ["list", "create", "list"]
    before = site.main
    assert ask(site) == Published(before), "once"
    assert "joined" in site.kinds()
    land(site, "b.txt", title="Second")
    land(site, "c.txt", title="Third")
    assert forge.requests("OPEN")[0]["title"] == "2 changes: Third; Second"


def test_a_squash_with_others_work_is_brought_together_by_a_person(site: Site, forge: Forge) -> None:
    land(site, "README.md", text="hello\nfirst\n")
    forge.colleague({"theirs.txt": "x"})
    forge.merge("squash")
    before = site.main
    assert ask(site) == Published(before), "all of it is merged"
    land(site, "README.md", text="hello\nsecond\n")
    said = reason(site)
    assert "was merged as other commits" in said
    assert len(forge.requests()) == 1
    commands = said.split("`")[1].split(" && ")
    for command in commands:
        git(site.root, *command.split()[1:])
    land(site, "c.txt", title="Third")
    assert forge.requests()[1]["state"] == "OPEN"
    forge.merge("squash")
    assert git(forge.remote, "show", "main:README.md") == "hello\nsecond"
    assert git(forge.remote, "show", "main:theirs.txt") == "x"


def test_a_reviewers_commit_on_the_branch_is_never_overwritten(site: Site, forge: Forge) -> None:
    land(site, "a.txt")
    theirs = forge.colleague({"review.txt": "x"}, OURS)
    change = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    assert forge.commit(OURS) == theirs
    said = reason(site)
    assert "tapeout/main of origin has commits that the landed work lacks" in said
    for command in said.split("`")[1].split(" && "):
        git(site.root, *command.split()[1:])
    commit = land(site, "c.txt")
    assert forge.commit(OURS) == commit
    assert is_ancestor(site.hub, theirs, commit)
    (request,) = forge.requests()
    assert "not gated, somebody put it on their branch" in request["body"]


def test_a_squash_with_a_reviewers_commit_says_what_to_pull(site: Site, forge: Forge) -> None:
    land(site, "a.txt")
    forge.colleague({"review.txt": "x"}, OURS)
    forge.merge("squash")
    change = site.submit({"b.txt": "x"})
    site.run()
    assert site.state(change) == "landed"
    for command in reason(site).split("`")[1].split(" && "):
        git(site.root, *command.split()[1:])
    land(site, "c.txt")
    assert len(forge.requests("OPEN")) == 1


def test_what_a_person_closed_is_not_opened_again_until_more_lands(site: Site, forge: Forge) -> None:
    land(site, "a.txt", title="First")
    forge.close()
    site.run()
    assert "pull request 1 was closed: https://" in reason(site)
    site.run()
    assert len(forge.requests()) == 1
    land(site, "b.txt", title="Second")
    assert [one["state"] for one in forge.requests()] == ["CLOSED", "OPEN"]
    assert "First" in forge.requests()[1]["body"], "it is in there still"


def test_pull_requests_of_forks_are_not_ours(site: Site, forge: Forge) -> None:
    forge.add_of_fork()
    land(site, "a.txt")
    forge.add_of_fork(state="CLOSED", headRefOid=site.main)
    forge.add_of_fork(state="MERGED", headRefOid=site.main, mergeCommit={"oid": site.main_at_start})
    assert isinstance(ask(site), Published)
    ours = [one for one in forge.requests() if not one["isCrossRepository"]]
    assert [one["number"] for one in ours] == [2]
    assert forge.requests()[0]["title"] == "", "not touched"


def no_gh(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    (forge.bin / "gh").rename(forge.bin / "hg")
    return lambda: (forge.bin / "hg").rename(forge.bin / "gh")


def relative_gh(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """What landed in the repository must not be run as `gh`."""
    old = os.environ["PATH"]
    (forge.site.root / "gh").write_text("#!/bin/sh\ntouch ran\n")
    (forge.site.root / "gh").chmod(0o755)
    patch.chdir(forge.site.root)
    patch.setenv("PATH", ":." + old.replace(str(forge.bin), ""))

    def undo() -> None:
        assert not (forge.site.root / "ran").exists()
        patch.setenv("PATH", old)

    return undo


def no_login(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    forge.fail("list", "To get started with GitHub CLI, please run:\n  gh auth login")
    return forge.recover


def no_list(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    program = forge.bin / "gh"
    text = program.read_text()
    program.write_text("#!/bin/sh\necho unknown\n")
    return lambda: program.write_text(text)


def cannot_create(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    forge.fail("create", "GraphQL: Resource not accessible by personal access token")
    return forge.recover


def cannot_push(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    hook = forge.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'branches of robots are not allowed'\nexit 1\n")
    hook.chmod(0o755)
    return hook.unlink


def unreachable(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    forge.remote.rename(forge.folder / "away")
    return lambda: (forge.folder / "away").rename(forge.remote)


def no_branch(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    git(forge.remote, "branch", "-m", "main", "trunk")
    return lambda: git(forge.remote, "branch", "-m", "trunk", "main")


def no_remote(forge: Forge, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    git(forge.site.root, "remote", "rename", "origin", "other")
    return lambda: git(forge.site.root, "remote", "rename", "other", "origin")


HINDRANCES: list[tuple[Callable[[Forge, pytest.MonkeyPatch], Callable[[], object]], str]] = [
    (no_gh, "gh is not on PATH"),
    (relative_gh, "gh is not on PATH"),
    (no_login, "gh pr list failed: To get started with GitHub CLI, please run: gh auth login"),
    (no_list, "gh pr list printed no list of pull requests"),
    (cannot_push, "cannot push to origin: "),
    (unreachable, "cannot fetch main of origin: "),
    (no_branch, "cannot fetch main of origin: "),
    (no_remote, "your repository has no remote origin"),
    (cannot_create, "gh pr create failed: GraphQL: Resource not accessible"),
]
"""The last one is the first that comes to pushing."""


def test_what_cannot_be_is_a_reason_and_the_next_one_tries_again(
    site: Site, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (prepare, wanted) in enumerate(HINDRANCES):
        undo = prepare(forge, monkeypatch)
        land(site, f"{number}.txt")
        assert wanted in str(site.tracker.unpublished())
        assert wanted in reason(site)
        undo()
    assert not forge.requests()
    site.run()
    assert isinstance(ask(site), Published)
    assert len(forge.requests("OPEN")) == 1
    assert site.tracker.unpublished() is None


def test_a_text_that_cannot_be_changed_does_not_hold_up_commits(site: Site, forge: Forge) -> None:
    """As with versions of `gh` that ask GitHub for what it no longer has."""
    land(site, "a.txt", title="First")
    forge.fail("edit", "GraphQL: Projects (classic) is being deprecated")
    commit = land(site, "b.txt", title="Second")
    assert site.tracker.unpublished() is None
    assert forge.commit(OURS) == commit
    (reasons,) = [one.data["reason"] for one in site.events() if one.data["what"] == "publish-skipped"]
    assert reasons.startswith("the text of pull request 1 is not up to date: gh pr edit failed: GraphQL")
    forge.recover()
    site.run()
    assert try_again(site) == Published(commit)
    assert forge.requests()[0]["title"] == "2 changes: Second; First"


def test_an_answer_that_was_lost_is_found_again(site: Site, forge: Forge) -> None:
    forge.fail("create", "HTTP 502", lost_answer=True)
    land(site, "a.txt")
    assert site.tracker.unpublished() is None
    assert len(forge.requests()) == 1


@pytest.mark.parametrize("at", ["begun", "pushed", "proposed"])
def test_killed_anywhere_there_is_one_pull_request(site: Site, forge: Forge, at: str) -> None:
    change = site.submit({"a.txt": "x"})
    killed = start_job(site, **forge.environment, **{CRASH_VARIABLE: f"publish.{at}"})
    assert killed.wait() == -signal.SIGKILL
    assert site.tracker.unpublished() == "", "it is due"
    site.run()
    assert site.state(change) == "landed"
    assert isinstance(ask(site), Published)
    (request,) = forge.requests()
    assert request["body"].count("  - run ") == 1
    assert forge.commit(OURS) == site.main


@pytest.mark.parametrize("at", ["vouched", "joined", "pushed"])
def test_killed_while_a_squash_is_joined(site: Site, forge: Forge, at: str) -> None:
    land(site, "a.txt")
    forge.merge("squash")
    change = site.submit({"b.txt": "x"}, title="Second")
    killed = start_job(site, **forge.environment, **{CRASH_VARIABLE: f"publish.{at}"})
    assert killed.wait() == -signal.SIGKILL
    site.run()
    assert site.state(change) == "landed"
    assert isinstance(ask(site), Published)
    assert [one["state"] for one in forge.requests()] == ["MERGED", "OPEN"]
    assert forge.requests()[1]["title"] == "Second"
    assert git(site.paths.hub, "log", "--format=%s", "--grep=^Join pull request", "main").count("\n") == 0
    ensure_in_order(site.hub, "main")


PUBLISHER = """
import sys
from tapeout.base.git import open_bare
from tapeout.base.paths import Repository, StatePaths
from tapeout.gate import Published, load_config, publish
from tapeout.tracker import Tracker

paths = StatePaths(sys.argv[1])
with Tracker.open(paths, "test") as tracker:
    hub = open_bare(paths.hub)
    config = load_config(hub, str(hub.references["refs/heads/main"].target))
    done = publish(paths, Repository(*sys.argv[2:]), config, tracker, anew=True)
assert isinstance(done, Published), done
"""


def test_two_at_once_open_one(site: Site, forge: Forge) -> None:
    forge.fail("list", "not now")
    land(site, "a.txt")
    forge.recover()
    arguments = [site.paths.root, site.repository.root, site.repository.git_dir]
    environment = {**ENV, **forge.environment}
    jobs = [subprocess.Popen([sys.executable, "-c", PUBLISHER, *arguments], env=environment) for _ in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    assert forge.actions()[-4:] == ["list", "create", "list", "edit"]
    assert isinstance(ask(site), Published)
    assert len(forge.requests()) == 1


def test_two_floors_with_one_remote_find_each_others(site: Site, forge: Forge) -> None:
    """Of two that look at the same moment both find nothing: the second is told by the forge that there is one."""
    land(site, "a.txt")
    listed = forge.bin / "gh"
    text = listed.read_text()
    once = forge.folder / "once"
    hidden = text.replace(
        "    print(json.dumps([{field", f"    if not os.path.exists({str(once)!r}):\n"
        f"        open({str(once)!r}, 'w').close()\n        wanted = []\n    print(json.dumps([{{field"
    )  # fmt: skip
    assert hidden != text
    listed.write_text(hidden)
    assert isinstance(ask(site), Published)
    assert forge.actions()[-4:] == ["list", "create", "list", "edit"]
    assert len(forge.requests()) == 1


def test_another_remote_may_be_named(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(PUBLISH.replace("pull-request", "pull-request:upstream"))
    forge = Forge(site, "upstream")
    for name, value in forge.environment.items():
        monkeypatch.setenv(name, value)
    land(site, "a.txt")
    assert len(forge.requests("OPEN")) == 1
    assert f"--repo={forge.remote}" in forge.calls()[0]["arguments"]


def test_the_login_in_an_address_is_nobodys_to_see(site: Site, forge: Forge) -> None:
    git(site.root, "remote", "set-url", "--push", "origin", "https://ada:token@forge.invalid/ada/work.git")
    forge.fail("list", "no")
    land(site, "a.txt")
    assert "--repo=https://forge.invalid/ada/work.git" in forge.calls()[0]["arguments"]


def test_commits_of_people_are_proposed_too(site: Site, forge: Forge) -> None:
    mine = commit_files(site.root, {"mine.txt": "x"}, "Closes #12, thanks @ada")
    commit = land(site, "a.txt", title="Theirs")
    (request,) = forge.requests()
    assert is_ancestor(site.hub, mine, commit)
    assert "Closes #12" not in request["body"]
    assert "@ada" not in request["body"]
    assert f"commit `{mine}`: not gated" in request["body"]
