"""What each real agent needs to work with a scripted model on 127.0.0.1, and what it does differently."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.real.codex import codex_environment

KEY = "sk-local-test"

_GIT_CONFIG = """\
[user]
name = Agent
email = agent@example.invalid
"""

_VIBE_CONFIG = """\
active_model = "scripted"
enable_telemetry = false
enable_update_checks = false
enable_auto_update = false
api_retry_max_elapsed_time = 1.0

[[providers]]
name = "local"
api_base = "{url}/v1"
api_key_env_var = "LOCAL_KEY"
api_style = "openai"
backend = "generic"

[[models]]
name = "scripted"
provider = "local"
alias = "scripted"
auto_compact_threshold = 200000
"""


@dataclass(frozen=True)
class Kit:
    """One agent program."""

    agent: str
    """Its name in Tapeout's catalog."""
    environment: Callable[[Path, str], Mapping[str, str]]
    """Makes a folder its home with the model at a URL, and gives the variables that point to it."""
    window: int | None
    """Tokens of its context, by its own report; None if it reports none."""
    asking_environment: Callable[[Path, str], Mapping[str, str]] | None = None
    """As `environment`, so that it asks before it runs a command; None if it cannot ask."""
    asking_mode: str | None = None
    """The session mode in which it does."""
    hides_errors: bool = False
    """Whether it reports errors of the model's API as a normal end of its turn."""
    accounts: bool = True
    """Whether it tells what a turn has spent."""


def claude_environment(home: Path, url: str) -> dict[str, str]:
    """For both ways to drive Claude Code."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(_GIT_CONFIG, encoding="utf-8")
    return {
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }


def vibe_environment(home: Path, url: str) -> dict[str, str]:
    """For Mistral Vibe with a model of its "generic" kind."""
    folder = home / ".vibe"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(_VIBE_CONFIG.format(url=url), encoding="utf-8")
    (home / ".gitconfig").write_text(_GIT_CONFIG, encoding="utf-8")
    return {"HOME": str(home), "VIBE_HOME": str(folder), "LOCAL_KEY": KEY}


KITS = {
    "codex-acp": Kit(
        "codex", codex_environment, 190_000, partial(codex_environment, approval="untrusted"), accounts=False
    ),
    "codex-acp-2": Kit("codex", codex_environment, 190_000, hides_errors=True),
    "claude-agent-acp": Kit("claude", claude_environment, 1_000_000, claude_environment),
    "vibe-acp": Kit("vibe", vibe_environment, 200_000, vibe_environment, asking_mode="default"),
    "claude": Kit("claude-headless", claude_environment, 1_000_000),
    "codex": Kit("codex-headless", codex_environment, None),
}
"""By the names that `tests.support.install_agents.AGENTS` has."""
