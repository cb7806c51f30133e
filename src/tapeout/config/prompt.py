"""The table of `tapeout.toml` about what a worker is told: `[prompt]`. All numbers are estimated tokens."""

from typing import Annotated

from pydantic import Field

from tapeout.config.values import Model

Tokens = Annotated[int, Field(ge=100, le=200_000)]


class PromptConfig(Model):
    """`[prompt]`"""

    total: Annotated[int, Field(ge=2_000, le=500_000)] = 24_000
    """Of the whole first prompt of a session, and of what a session is told after a failed verdict. Where the parts
    together are longer, the less important ones get less. The rules and the permissions are never cut."""

    issue: Tokens = 12_000
    """Of the issue's description."""

    acceptance: Tokens = 2_000
    """Of its acceptance criteria."""

    design: Tokens = 3_000
    """Of its design notes."""

    handoff: Tokens = 3_000
    """Of what the session before left."""

    dead_ends: Tokens = 3_000
    """Of what was tried before and how it failed."""

    solutions: Tokens = 1_000
    """Of what landed on other issues that had failed in the same way."""

    comments: Tokens = 2_000
    """Of the comments, and of what people said to earlier sessions; the newest are kept."""

    checks: Tokens = 1_000
    """Of the list of checks."""

    finding: Tokens = 1_500
    """Of one finding of the gate."""
