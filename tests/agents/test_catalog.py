"""Which agents are known, and what a repository's configuration makes of them."""

import sys
from pathlib import Path

import pytest

from tapeout.agents import AgentSpec, catalog, installed, resolve, version
from tapeout.agents.choices import choose_mode
from tapeout.agents.session import session_environment
from tapeout.base.errors import UsageError
from tapeout.config import Config, parse_config


def config(text: str = "") -> Config:
    return parse_config(f"{text}\n[[check]]\nname = 'tests'\nrun = 'true'\n")


def test_the_known_agents() -> None:
    names = [entry.name for entry in catalog()]
    headless = ["claude-headless", "codex-headless"]
    assert names == ["claude", "codex", "copilot", "gemini", "opencode", "vibe", *headless, "scripted"]
    for entry in catalog():
        spec = resolve(entry.name, config())
        assert (spec.name, spec.driver, spec.command) == (
            entry.name,
            entry.name if entry.name in headless else "acp",
            entry.command,
        )
        assert entry.install == spec.install
        assert bool(entry.install) == (entry.name != "scripted")
        assert spec.pass_env == ()  # no secret goes to an agent unless the user says so


def test_the_default_agent_of_the_floor_is_known() -> None:
    assert resolve(config().floor.agent, config()).command == ("claude-agent-acp",)


def test_configuration_goes_over_the_catalog() -> None:
    spec = resolve(
        "gemini",
        config(
            "[agents.gemini]\ncommand = ['/opt/gemini', '--acp']\nenv = {A = '1', GEMINI_CLI_NO_RELAUNCH = 'false'}\n"
            "pass_env = ['GEMINI_API_KEY']\nmode = 'yolo'"
        ),
    )
    assert spec.command == ("/opt/gemini", "--acp")
    assert (spec.env["A"], spec.env["GEMINI_CLI_NO_RELAUNCH"]) == ("1", "false")
    assert spec.env["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    assert (spec.pass_env, spec.mode, spec.install) == (("GEMINI_API_KEY",), "yolo", "")


@pytest.mark.parametrize(
    ("name", "permissions", "offered", "mode"),
    [
        ("codex", "allow", ["read-only", "auto", "full-access"], "full-access"),
        ("codex", "allow", ["read-only", "agent", "agent-full-access"], "agent-full-access"),
        ("codex", "deny", ["read-only", "auto", "full-access"], None),
        ("claude", "allow", ["auto", "default", "bypassPermissions"], "default"),
        ("claude", "deny", ["auto", "default", "bypassPermissions"], "default"),
        ("vibe", "allow", ["default", "auto-approve"], "auto-approve"),
        ("vibe", "deny", ["default", "auto-approve"], None),
    ],
)
def test_the_mode_fits_the_permissions(name: str, permissions: str, offered: list[str], mode: str | None) -> None:
    spec = resolve(name, config(f"[floor]\npermissions = '{permissions}'"))
    wanted = [one for one in (spec.mode, *spec.fallback_modes) if one]
    assert choose_mode(wanted, offered, offered[0]) == (mode, None)


def test_an_agent_of_ones_own() -> None:
    spec = resolve("mine", config("[agents.mine]\ndriver = 'command'\ncommand = ['mine', '{prompt}']"))
    assert spec == AgentSpec("mine", "command", ("mine", "{prompt}"))


@pytest.mark.parametrize("table", ["command = ['mine']", "driver = 'acp'", "driver = 'acp'\ncommand = []", ""])
def test_an_agent_of_ones_own_needs_driver_and_command(table: str) -> None:
    with pytest.raises(UsageError, match=r"agents\.mine: driver and command are required"):
        resolve("mine", config(f"[agents.mine]\n{table}"))


def test_an_unknown_agent_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"known are claude, claude-headless, codex, .*, mine"):
        resolve("cloude", config("[agents.mine]\ndriver = 'acp'\ncommand = ['mine']"))


def make_program(folder: Path, source: str, mode: int = 0o755) -> AgentSpec:
    program = folder / "coder"
    program.write_text(source)
    program.chmod(mode)
    return AgentSpec("coder", "acp", ("coder",))


def test_installed_is_what_can_be_run(tmp_path: Path) -> None:
    spec = make_program(tmp_path, "", 0o644)
    assert not installed(spec, str(tmp_path))
    spec = make_program(tmp_path, "#!/bin/sh\n")
    assert installed(spec, str(tmp_path))
    assert not installed(spec, "/nowhere")
    assert installed(resolve("scripted", config()), "/nowhere")


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("#!/bin/sh\ntest $1 = --version && echo coder 1.2\necho more", "coder 1.2"),
        ("#!/bin/sh\necho no; exit 1", None),
        ("#!/bin/sh\ncat", None),
        ("#!/no/such/shell", None),
    ],
)
def test_version_is_what_the_program_says(tmp_path: Path, source: str, answer: str | None) -> None:
    assert version(make_program(tmp_path, source), str(tmp_path)) == answer


def test_version_of_what_is_not_there(tmp_path: Path) -> None:
    assert version(AgentSpec("x", "acp", ("no-such",)), str(tmp_path)) is None


def test_only_named_variables_are_passed_on() -> None:
    spec = AgentSpec("x", "acp", (sys.executable,), {"B": "own"}, ("A", "B", "MISSING"))
    ours = {"A": "ours", "B": "ours", "SECRET": "ours"}
    assert session_environment(spec, {"PATH": "/bin", "A": "given"}, ours) == {"PATH": "/bin", "A": "ours", "B": "own"}
