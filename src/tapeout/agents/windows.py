"""How many tokens the context of a model holds, for agents that do not say. Pure.

The figures are those that the models' makers publish (2026), of Claude those that its own program reports; a model that
is not here, or a window that a plan limits, is set with `agents.NAME.window`. An agent's own report always counts for
more than this table.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

DEFAULT_WINDOW = 128_000
"""Tokens, for a model that nobody knows: what current models hold at least."""

_WINDOWS = (
    ("claude-opus-5", 1_000_000),
    ("claude-sonnet-5", 1_000_000),
    ("claude-haiku-5", 1_000_000),
    ("claude", 200_000),
    ("gpt-4.1", 1_047_576),
    ("gpt-4", 128_000),
    ("gpt-5", 272_000),
    ("codex", 272_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("gemini", 1_048_576),
    ("devstral", 256_000),
    ("codestral", 256_000),
    ("qwen3-coder", 262_144),
    ("kimi", 256_000),
    ("grok", 256_000),
    ("glm", 200_000),
)
"""Beginning of a word in the model's name, and tokens; the first that fits counts."""

_MILLION = re.compile(r"\[1m\]|-1m\b", re.IGNORECASE)
_MODEL_OPTION = re.compile(r"(?:--model|-m)(?:=(?P<value>.+))?")


def window_of(model: str) -> int:
    """Tokens that the context of a model holds, by its name."""
    if _MILLION.search(model):
        return 1_000_000
    name = model.lower()
    return next((size for word, size in _WINDOWS if re.search(rf"\b{re.escape(word)}", name)), DEFAULT_WINDOW)


def configured_model(command: Sequence[str], env: Mapping[str, str]) -> str:
    """The model that a command line or a variable such as `ANTHROPIC_MODEL` chooses; empty if none does."""
    for part, following in zip_longest(command, command[1:], fillvalue=""):
        option = _MODEL_OPTION.fullmatch(part)
        if option is not None:
            return option["value"] or following
    return next((value for name, value in sorted(env.items()) if name.endswith("_MODEL")), "")
