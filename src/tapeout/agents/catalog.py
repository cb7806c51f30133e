"""The agents that Tapeout knows: how to start each, install it, and what it needs. A repository may change or add to
them in `tapeout.toml`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tapeout.agents.choices import Permissions
from tapeout.agents.errors import AgentNotInstalled
from tapeout.agents.program import find_program
from tapeout.agents.scripted import PROGRAM
from tapeout.agents.session import AgentSpec, Driver
from tapeout.base.errors import UsageError
from tapeout.config import AgentConfig, Config

VERSION_TIMEOUT = 10.0
"""Seconds that a program may take to say its version."""


@dataclass(frozen=True)
class CatalogEntry:
    """A known agent."""

    name: str
    title: str
    command: tuple[str, ...]
    install: str
    """A shell command that installs it; empty: ships with Tapeout."""
    keys: tuple[str, ...] = ()
    """Variables that hold its API key or choose its model; one who uses them names them in `pass_env`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that make it work unattended."""
    modes: tuple[str, ...] = ()
    """ACP modes in which it asks for as little as possible, best first: for `permissions = "allow"`."""
    asking_modes: tuple[str, ...] = ()
    """Modes in which it asks before it acts: for `permissions = "deny"` and `"ask"`."""
    home: tuple[str, ...] = ()
    """Where its login and settings are. Not its sessions: they are large, and no other agent's business."""
    hosts: tuple[str, ...] = ()
    """Where its model is, and where its login is renewed."""
    note: str = ""
    """What a user should know."""
    driver: Driver = "acp"


_CLAUDE_HOME = ("~/.claude.json", "~/.claude/.credentials.json", "~/.claude/settings.json", "~/.claude/CLAUDE.md")
_CLAUDE_HOSTS = ("api.anthropic.com", "console.anthropic.com", "platform.claude.com")
_CODEX_HOME = ("~/.codex/auth.json", "~/.codex/config.toml", "~/.codex/AGENTS.md")
_CODEX_HOSTS = ("api.openai.com", "chatgpt.com", "auth.openai.com")

_CATALOG = (
    CatalogEntry(
        "claude",
        "Claude Code",
        ("claude-agent-acp",),
        "npm install -g @agentclientprotocol/claude-agent-acp",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"),
        env={"DISABLE_AUTOUPDATER": "1"},
        home=_CLAUDE_HOME,
        hosts=_CLAUDE_HOSTS,
        # It starts in `auto`, where it does not act and does not ask either.
        modes=("default",),
        asking_modes=("default",),
        note="needs Node.js 24 for current versions; without a key it uses the login of the claude program",
    ),
    CatalogEntry(
        "codex",
        "OpenAI Codex",
        ("codex-acp",),
        "npm install -g @zed-industries/codex-acp",
        keys=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_HOME"),
        home=_CODEX_HOME,
        hosts=_CODEX_HOSTS,
        # Two adapters have this program name; each calls the mode differently.
        modes=("agent-full-access", "full-access"),
        note="without a key it uses the login of the codex program",
    ),
    CatalogEntry(
        "copilot",
        "GitHub Copilot CLI",
        ("copilot", "--acp"),
        "npm install -g @github/copilot",
        keys=("GH_TOKEN", "GITHUB_TOKEN", "COPILOT_GITHUB_TOKEN", "COPILOT_MODEL"),
        env={"COPILOT_AUTO_UPDATE": "false"},
        home=("~/.copilot/config.json", "~/.copilot/settings.json"),
        hosts=("api.github.com", "*.githubcopilot.com"),
    ),
    CatalogEntry(
        "gemini",
        "Gemini CLI",
        ("gemini", "--acp"),
        "npm install -g @google/gemini-cli",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
        # It starts itself a second time otherwise, which costs 4 seconds.
        env={"GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_CLI_TRUST_WORKSPACE": "true"},
        home=("~/.gemini/*.json", "~/.gemini/installation_id", "~/.gemini/.env"),
        hosts=("generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com", "oauth2.googleapis.com"),
        note="does not report how full its context is: that is estimated",
    ),
    CatalogEntry(
        "opencode",
        "OpenCode",
        ("opencode", "acp"),
        "npm install -g opencode-ai",
        keys=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENCODE_CONFIG"),
        env={"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"},
        home=("~/.local/share/opencode/auth.json", "~/.config/opencode/opencode.json*"),
        hosts=("api.anthropic.com", "api.openai.com", "opencode.ai", "models.dev"),
    ),
    CatalogEntry(
        "vibe",
        "Mistral Vibe",
        ("vibe-acp",),
        "uv tool install mistral-vibe",
        keys=("MISTRAL_API_KEY",),
        home=("~/.vibe/config.toml", "~/.vibe/.env"),
        hosts=("api.mistral.ai",),
        modes=("auto-approve",),
    ),
    CatalogEntry(
        "claude-headless",
        "Claude Code, without an adapter",
        ("claude",),
        "npm install -g @anthropic-ai/claude-code",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"),
        # As root it takes bypassPermissions only with this.
        env={"DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1"},
        home=_CLAUDE_HOME,
        hosts=_CLAUDE_HOSTS,
        note="a process for each prompt; cannot ask: what is not allowed is denied",
        driver="claude-headless",
    ),
    CatalogEntry(
        "codex-headless",
        "OpenAI Codex, without an adapter",
        ("codex",),
        "npm install -g @openai/codex",
        keys=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_HOME"),
        home=_CODEX_HOME,
        hosts=_CODEX_HOSTS,
        note="a process for each prompt; cannot ask; does not report how full its context is: that is estimated",
        driver="codex-headless",
    ),
    CatalogEntry(
        "scripted",
        "Scripted agent",
        (sys.executable, "-I", "-S", PROGRAM),
        "",
        note="plays a script from the issue, without a model: for the demo and for tests",
    ),
)


def catalog() -> list[CatalogEntry]:
    """Every known agent."""
    return list(_CATALOG)


def resolve(name: str, config: Config) -> AgentSpec:
    """The agent of that name: `[agents.NAME]` of the configuration over what the catalog knows.

    Raises:
        UsageError: nobody knows it, or the configuration leaves out what an unknown agent needs.
    """
    changes = config.agents.get(name)
    entry = next((entry for entry in _CATALOG if entry.name == name), None)
    if entry is not None:
        return _known(entry, changes or AgentConfig(), config.floor.permissions)
    if changes is None:
        names = sorted({*config.agents, *(entry.name for entry in _CATALOG)})
        raise UsageError(
            f"there is no agent {name!r}: known are {', '.join(names)}",
            hint=f"add [agents.{name}] with driver and command to tapeout.toml",
        )
    if changes.driver is None or not changes.command:
        raise UsageError(
            f"tapeout.toml: agents.{name}: driver and command are required",
            hint='driver is "acp", "command", "claude-headless" or "codex-headless"; command is a list of words',
        )
    return AgentSpec(
        name,
        changes.driver,
        changes.command,
        changes.env,
        changes.pass_env,
        changes.mode,
        home=changes.home,
        hosts=changes.hosts,
        window=changes.window,
    )


def installed(spec: AgentSpec, path: str | None = None) -> bool:
    """Whether the agent's program is there; `path` is the PATH to look on, ours by default."""
    try:
        find_program(spec, os.getcwd(), {"PATH": os.environ.get("PATH", "") if path is None else path})
    except AgentNotInstalled:
        return False
    return True


def version(spec: AgentSpec, path: str | None = None) -> str | None:
    """What the program answers to `--version`, or None if it does not. Starts the program: it may take seconds."""
    search = os.environ.get("PATH", "") if path is None else path
    program = shutil.which(spec.command[0], path=search)
    if program is None or spec.name == "scripted":
        return None
    try:
        result = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = result.stdout.decode(errors="replace").strip().splitlines()
    return lines[0][:100] if result.returncode == 0 and lines else None


def _known(entry: CatalogEntry, changes: AgentConfig, permissions: Permissions) -> AgentSpec:
    modes = entry.modes if permissions == "allow" else entry.asking_modes
    if changes.mode is not None:
        modes = (changes.mode,)
    return AgentSpec(
        entry.name,
        changes.driver or entry.driver,
        changes.command or entry.command,
        {**entry.env, **changes.env},
        changes.pass_env,
        modes[0] if modes else None,
        modes[1:],
        (*entry.home, *changes.home),
        (*entry.hosts, *changes.hosts),
        "" if changes.command else entry.install,
        changes.window,
    )
