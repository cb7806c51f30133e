"""`tapeout sync` and claims that are shared through a remote, as a person types them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

Pair = tuple[Cli, Cli]


@pytest.fixture
def pair(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Two clones of one project; `cli` is the first."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", remote], check=True)
    subprocess.run(["git", "-C", cli.folder, "remote", "add", "origin", remote], check=True)
    subprocess.run(["git", "-C", cli.folder, "push", "-q", "origin", "main"], check=True)
    subprocess.run(["git", "clone", "-q", remote, tmp_path / "second"], check=True)
    monkeypatch.setenv("TAPEOUT_ACTOR", "ada")
    return cli, Cli(tmp_path / "second")


def share(*clones: Cli) -> None:
    text = '[tracker]\nclaims = "shared"\n\n[[check]]\nname = "x"\nrun = "true"\n'
    for clone in clones:
        (clone.folder / "tapeout.toml").write_text(text)
        assert clone("sync").code == 0


def test_issues_reach_the_other_clone(pair: Pair) -> None:
    first, second = pair
    issue = first.new("Shared")
    assert first("sync").out == "origin: 0 operations received, 1 log sent\n"
    assert second("sync", "origin", "--json").data["received"] == 1
    assert second("issue", "show", issue, "--json").data["title"] == "Shared"


def test_what_a_merge_decided_is_said(pair: Pair) -> None:
    first, second = pair
    one, two = first.new("One"), first.new("Two")
    for clone in (first, second):
        clone("sync")
    first("issue", "edit", one, "--title", "By the first")
    second("issue", "edit", one, "--title", "By the second")
    first("issue", "dep", "add", one, two)
    second("issue", "dep", "add", two, one)
    first("sync")
    said = second("sync").out
    assert f"{one}  title: kept what ada (" in said
    assert f"{two}  waits for {one} in a circle: this dependency is ignored" in said


def test_a_file_goes_where_no_remote_does(pair: Pair, tmp_path: Path) -> None:
    first, second = pair
    first.new("Carried")
    file = tmp_path / "issues.bundle"
    assert first("sync", "--bundle", str(file)).out == f"{file}  1 log\n"
    assert second("sync", str(file), "--json").data["received"] == 1
    refused = first("sync", "origin", "--bundle", str(file))
    assert (refused.code, refused.err) == (2, "tapeout: --bundle goes with no remote and no --repair\n")


@pytest.mark.parametrize(
    ("prepare", "code", "message"),
    [
        (
            lambda folder: subprocess.run(["git", "-C", folder, "remote", "remove", "origin"], check=True),
            2,
            "no remote",
        ),
        (lambda folder: shutil.rmtree(folder.parent / "remote.git"), 7, "origin cannot be reached"),
        (lambda folder: (folder / "tapeout.toml").write_text("[tracker]\nremote = 7\n"), 2, "tracker.remote"),
    ],
    ids=["none", "gone", "invalid"],
)
def test_a_remote_that_is_not_there(pair: Pair, prepare: Callable[[Path], object], code: int, message: str) -> None:
    first, _ = pair
    issue = first.new("Stays")
    prepare(first.folder)
    error = first("sync", "--json").error
    assert error["exit"] == code
    assert message in error["message"]
    assert first("issue", "show", issue).code == 0


def test_what_another_clone_has_claimed_cannot_be_claimed_here(pair: Pair) -> None:
    first, second = pair
    one, two = first.new("One", "--priority", "0"), first.new("Two")
    share(first, second)
    assert first("claim", one).code == 0
    lost = second("claim", one)
    assert lost.code != 0
    assert lost.err.startswith(f"tapeout: {one} is held by ada in another clone until 20")
    assert second("issue", "show", one, "--json").data["state"] == "leased"
    assert second("claim", "--next", "--json").data["issue"] == two
    assert first("claim", "--next").code != 0
    assert first("renew", one, "--lease", "7200").code == 0
    assert first("release", one).code == 0
    assert second("sync").code == 0
    assert second("claim", one).code == 0
    three = first.new("Three")
    os.rename(first.folder.parent / "remote.git", first.folder.parent / "away.git")
    assert first("claim", three).code == 7
    assert first("issue", "show", three, "--json").data["state"] == "ready"


def test_the_next_issue_with_a_label(cli: Cli) -> None:
    cli.new("Urgent", "--priority", "0")
    wanted = cli.new("Labelled", "--label", "api", "--label", "ui")
    cli.new("Half", "--label", "api", "--priority", "1")
    assert cli("claim", "--next", "--label", "api", "--label", "ui", "--json").data["issue"] == wanted
    assert cli("claim", "--next", "--label", "api", "--label", "ui").err == (
        "tapeout: no issue with api and ui is ready\n"
    )
    assert cli("claim", wanted, "--label", "api").code == 2


def test_a_claim_is_renewed_by_its_holder_only(cli: Cli) -> None:
    issue = cli.new("One")
    assert cli("renew", issue).code != 0
    before = cli("claim", issue, "--as", "ada", "--lease", "60", "--json").data
    after = cli("renew", issue, "--as", "ada", "--json").data
    assert (after["token"], after["expires"] > before["expires"] + 3000) == (before["token"], True)
    assert "is held by ada until" in cli("renew", issue, "--as", "ben").err


def test_a_claim_that_was_lost_lets_nothing_through(cli: Cli) -> None:
    issue = cli.new("One")
    token = str(cli("claim", issue, "--lease", "0.01", "--json", env={"TAPEOUT_ACTOR": "ada"}).data["token"])
    assert cli("claim", issue, env={"TAPEOUT_ACTOR": "ben"}).code == 0
    for words in (["comment", issue, "late"], ["edit", issue, "--priority", "0"], ["close", issue]):
        done = cli("issue", *words, "--token", token, "--json", env={"TAPEOUT_ACTOR": "ada"})
        assert (done.code, done.error["code"], done.error["details"]["owner"]) == (9, "lost-claim", "ben")
    exported = cli("export").out.replace("One", "Late").replace('"updated_at":"2', '"updated_at":"3')
    (cli.folder / "late.jsonl").write_text(exported)
    assert cli("import", "late.jsonl", "--dry-run").out.startswith("would be: 0 created, 1 updated")
    assert cli("import", "late.jsonl", "--token", token, env={"TAPEOUT_ACTOR": "ada"}).code == 9
    assert cli("issue", "show", issue, "--json").data["title"] == "One"
    assert cli("issue", "close", issue, "--token", "2", env={"TAPEOUT_ACTOR": "ben"}).code == 0
