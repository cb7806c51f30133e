"""`tapeout issue allow`: a person lets the changes of one issue do what the gate refuses otherwise."""

import pytest

from tests.cli.conftest import Cli


def test_allowed_shown_and_taken_back(cli: Cli) -> None:
    issue = cli.new("one")
    assert cli("issue", "show", issue, "--json").data["permissions"] == []
    done = cli("issue", "allow", issue, "tests", "ci", "tests", "--note", "behaviour\nchanges", "--json")
    assert done.data == {"issue": issue, "permissions": ["ci", "tests"]}
    assert cli("issue", "show", issue, "--json").data["permissions"] == ["ci", "tests"]
    assert "allowed: ci, tests" in cli("issue", "show", issue).out
    assert "allowed tests, ci (behaviour changes)" in cli("logs", issue).out
    assert cli("issue", "allow", issue, "--forbid", "tests").out == f"{issue}  allowed: ci\n"
    assert cli("issue", "allow", issue, "ci", "--forbid").out == f"{issue}  allowed: nothing\n"


@pytest.mark.parametrize("words", [("everything",), (), ("tests", "--note", "x" * 301)])
def test_what_is_no_permission_changes_nothing(cli: Cli, words: tuple[str, ...]) -> None:
    issue = cli.new("one")
    done = cli("issue", "allow", issue, *words, "--json")
    assert (done.code, done.error["code"]) == (2, "usage")
    assert cli("issue", "show", issue, "--json").data["permissions"] == []


def test_permissions_travel_to_other_clones(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    issue = cli.new("one")
    assert cli("issue", "allow", issue, "rules").code == 0
    bundle = tmp_path_factory.mktemp("share") / "issues.bundle"
    assert cli("sync", "--bundle", str(bundle)).code == 0
    other = {"TAPEOUT_HOME": str(tmp_path_factory.mktemp("other"))}
    assert cli("sync", str(bundle), env=other).code == 0
    assert cli("issue", "show", issue, "--json", env=other).data["permissions"] == ["rules"]
