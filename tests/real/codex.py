"""What `codex-acp` needs to work with a model on 127.0.0.1."""

import json
from collections.abc import Mapping
from pathlib import Path

FULL_ACCESS = "full-access"
"""The session mode in which it runs any command without asking."""

CONTEXT_WINDOW = 200_000
"""Tokens; what the program reports as the size of its context."""

_KEY_VARIABLE = "SCRIPTED_MODEL_KEY"

_CONFIG = """\
model = "scripted"
model_provider = "scripted"
model_context_window = {window}
approval_policy = "{approval}"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.scripted]
name = "Scripted model"
base_url = "{url}/v1"
env_key = "{key}"
wire_api = "responses"
supports_websockets = false
request_max_retries = 1
stream_max_retries = 1
"""

_GIT_CONFIG = """\
[user]
name = Codex
email = codex@example.invalid
"""


def codex_environment(home: Path, url: str, approval: str = "never") -> dict[str, str]:
    """Make `home` a home folder for codex with the model at `url`; the variables that point codex to it.

    `approval` is codex's policy for asking before it runs a command.

    Any number of codex processes may share one home. It must not lie in their temporary folder (`TMPDIR`): codex
    refuses to keep its helper programs there.
    """
    codex_home = home / ".codex"
    codex_home.mkdir(parents=True, exist_ok=True)
    config = _CONFIG.format(window=CONTEXT_WINDOW, url=url, key=_KEY_VARIABLE, approval=approval)
    (codex_home / "config.toml").write_text(config, encoding="utf-8")
    (home / ".gitconfig").write_text(_GIT_CONFIG, encoding="utf-8")
    return {
        "HOME": str(home),
        "CODEX_HOME": str(codex_home),
        _KEY_VARIABLE: "sk-local-test",
    }


def agent_lines(program: Path, environment: Mapping[str, str]) -> str:
    """The lines of an `[agents.NAME]` in `tapeout.toml` for it."""
    variables = ", ".join(f"{name} = {json.dumps(value)}" for name, value in environment.items())
    lines = ['driver = "acp"', f"command = {json.dumps([str(program)])}", f'mode = "{FULL_ACCESS}"']
    return "\n".join([*lines, f"env = {{ {variables} }}"])
