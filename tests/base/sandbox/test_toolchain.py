"""Programs in a home keep working when the home is hidden, and what else is there stays hidden."""

from pathlib import Path

import pytest

from tapeout.base.sandbox import toolchain_folders
from tapeout.base.sandbox.toolchain import secret_files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    for name in (
        ".cargo/bin", ".pyenv/shims", ".pyenv/versions/3.12/bin", ".local/bin", ".local/share/uv/tools/ruff/bin",
        ".nvm/versions/node/v22/bin", "project/.venv/bin", "project/node_modules/.bin", "bin", ".ssh",
    ):  # fmt: skip
        (folder / name).mkdir(parents=True)
    return folder


def shown(home: Path, *entries: str) -> list[str]:
    path = ":".join(str(home / entry) if not entry.startswith("/") else entry for entry in entries)
    return [str(Path(folder).relative_to(home)) for folder in toolchain_folders(path, [str(home)])]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (".cargo/bin", [".cargo", ".cargo/bin"]),
        (".pyenv/shims", [".pyenv", ".pyenv/shims"]),
        (".nvm/versions/node/v22/bin", [".nvm/versions/node/v22", ".nvm/versions/node/v22/bin"]),
        ("project/node_modules/.bin", ["project/node_modules", "project/node_modules/.bin"]),
        ("project/.venv/bin", ["project/.venv", "project/.venv/bin"]),
        (".local/bin", [".local/bin"]),
        ("bin", ["bin"]),
        ("missing/bin", []),
        ("", []),
        (".ssh/..", []),
        ("/usr/bin", []),
    ],
)
def test_an_installation_is_shown_and_never_the_home(home: Path, entry: str, expected: list[str]) -> None:
    assert shown(home, entry) == expected


def test_links_and_interpreters_are_followed(home: Path) -> None:
    python = home / ".pyenv/versions/3.12/bin/python3"
    python.write_text("")
    environment = home / ".local/share/uv/tools/ruff"
    (environment / "pyvenv.cfg").write_text(f"home = {python.parent}\nversion = 3.12\n")
    (environment / "bin/python").symlink_to(python)
    (home / ".local/bin/ruff").symlink_to("../share/uv/tools/ruff/bin/ruff")
    (environment / "bin/ruff").write_text("")
    (home / ".local/bin/outside").symlink_to("/usr/bin/env")
    (home / ".local/bin/loop").symlink_to("loop")
    assert shown(home, ".local/bin") == [
        ".local/bin", ".local/share/uv/tools/ruff", ".local/share/uv/tools/ruff/bin",
        ".pyenv/versions/3.12", ".pyenv/versions/3.12/bin",
    ]  # fmt: skip


def test_a_link_to_the_home_itself_does_not_open_it(home: Path) -> None:
    (home / "bin/all").symlink_to(home)
    (home / "bin/key").symlink_to(home / ".ssh")
    assert shown(home, "bin") == ["bin"]


def test_passwords_beside_programs_are_named(home: Path) -> None:
    (home / ".cargo/credentials.toml").write_text("token")
    (home / ".cargo/config.toml").write_text("x")
    folders = toolchain_folders(str(home / ".cargo/bin"), [str(home)])
    assert secret_files(folders) == (str(home / ".cargo/credentials.toml"),)


def test_a_program_of_node_has_the_packages_around_it(home: Path) -> None:
    package = home / ".local/lib/node_modules/@some/agent"
    (package / "dist").mkdir(parents=True)
    (package / "node_modules/part").mkdir(parents=True)
    (package / "dist/index.js").write_text("")
    (home / ".local/bin/agent").symlink_to("../lib/node_modules/@some/agent/dist/index.js")
    modules = ".local/lib/node_modules"
    assert shown(home, ".local/bin") == [".local/bin", modules, f"{modules}/@some/agent/dist"]
    assert shown(home, f"{modules}/@some/agent/node_modules/part") == [
        modules,
        f"{modules}/@some/agent/node_modules/part",
    ]
