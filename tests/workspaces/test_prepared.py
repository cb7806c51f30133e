"""What `setup` made is put into later workspaces, and a login into a private home."""

import os
from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.git import ensure_bare
from tapeout.base.paths import StatePaths
from tapeout.workspaces import Recipe, create, fill_home, keep, restore
from tapeout.workspaces import home as homes
from tests.workspaces.conftest import add_to_main

RECIPE = Recipe("make env", ("README", "src"), (".env",), "/usr/bin")


def test_what_was_made_is_found_again_at_the_path_of_the_new_workspace(paths: StatePaths, base: str) -> None:
    key = RECIPE.key(ensure_bare(paths.hub), base)
    first, second = create(paths, "a-1", base), create(paths, "a-2", base)
    assert not restore(paths, key, second)
    made = Path(first.code, ".env")
    (made / "bin").mkdir(parents=True)
    (made / "bin/run").write_text(f"#!{made}/bin/python\n")
    (made / "bin/run").chmod(0o755)
    (made / "compiled").write_bytes(b"\0\1" + os.fsencode(first.code) + b"/x\0")
    (made / "link").symlink_to(made / "bin")
    os.utime(made / "bin/run", (1, 1))
    keep(paths, key, first, RECIPE.outputs)

    assert restore(paths, key, second)
    found = Path(second.code, ".env")
    assert (found / "bin/run").read_text() == f"#!{found}/bin/python\n"
    assert (found / "bin/run").stat().st_mtime == 1
    assert os.access(found / "bin/run", os.X_OK)
    assert (found / "compiled").read_bytes() == b"\0\1" + os.fsencode(second.code) + b"/x\0"
    assert os.readlink(found / "link") == str(found / "bin")

    (found / "bin/run").write_text("changed by its agent\n")
    third = create(paths, "a-3", base)
    assert restore(paths, key, third)
    assert Path(third.code, ".env/bin/run").read_text().startswith("#!"), "one worker cannot change another's"


def test_an_environment_is_known_by_its_command_its_inputs_and_its_path(paths: StatePaths, base: str) -> None:
    hub = ensure_bare(paths.hub)
    other = add_to_main(paths, base)
    known = RECIPE.key(hub, base)
    assert RECIPE.key(hub, base) == known
    assert Recipe("make other", RECIPE.inputs, RECIPE.outputs, RECIPE.path).key(hub, base) != known
    assert Recipe(RECIPE.command, RECIPE.inputs, RECIPE.outputs, "/bin").key(hub, base) != known
    assert RECIPE.key(hub, other) != known
    assert Recipe("x", ("none",), (), "").key(hub, base) == Recipe("x", ("none",), (), "").key(hub, other)


def test_only_the_environments_that_were_used_last_are_kept(paths: StatePaths, base: str) -> None:
    workspace = create(paths, "a-1", base)
    Path(workspace.code, ".env").write_text("x")
    for number in range(6):
        keep(paths, f"{number:040}", workspace, (".env",))
    assert len(os.listdir(paths.environments)) == 4
    assert restore(paths, f"{5:040}", create(paths, "a-2", base))


def test_a_private_home_gets_what_is_named_and_nothing_else(tmp_path: Path) -> None:
    home, private = tmp_path / "home", tmp_path / "private"
    (home / ".agent/sessions").mkdir(parents=True)
    (home / ".agent/auth.json").write_text("key")
    (home / ".agent/sessions/old").write_text("old")
    (home / ".config").mkdir()
    (home / ".config/real").write_text("settings")
    (home / ".settings").symlink_to(".config/real")
    (home / "secret").write_text("secret")
    os.mkfifo(home / ".agent/pipe")
    private.mkdir()
    fill_home(str(home), str(private), ["~/.agent/*.json", "~/.settings", "~/.none", "~/.agent/pipe"])
    found = sorted(str(path.relative_to(private)) for path in private.rglob("*") if not path.is_dir())
    assert found == [".agent/auth.json", ".settings"]
    assert (private / ".settings").read_text() == "settings"
    (private / ".settings").write_text("changed")
    assert (home / ".config/real").read_text() == "settings"


def test_what_is_too_large_or_elsewhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home/big").write_text("x" * 100)
    monkeypatch.setattr(homes, "MOST_BYTES", 99)
    with pytest.raises(EnvironmentProblem, match="which every attempt would copy"):
        fill_home(str(tmp_path / "home"), str(tmp_path / "private"), ["~/big"])
    with pytest.raises(EnvironmentProblem, match="is not in the home"):
        fill_home(str(tmp_path / "home"), str(tmp_path / "private"), [str(tmp_path)])


@pytest.mark.parametrize("place", [".env", ".env/bin", "deep/env"])
def test_links_of_an_earlier_attempt_lead_what_was_kept_nowhere(
    paths: StatePaths, base: str, tmp_path: Path, place: str
) -> None:
    output = "deep/env" if place == "deep/env" else ".env"
    first, second = create(paths, "a-1", base), create(paths, "a-2", base)
    (Path(first.code, output) / "bin").mkdir(parents=True)
    (Path(first.code, output) / "bin/run").write_text("made")
    keep(paths, "0" * 40, first, (output,))
    victim = tmp_path / "victim"
    victim.mkdir()
    link = Path(second.code, "deep" if place == "deep/env" else place)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    assert not restore(paths, "0" * 40, second)
    assert list(victim.iterdir()) == []
