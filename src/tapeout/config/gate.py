"""The tables of `tapeout.toml` about the gate: `[gate]` and `[[check]]`."""

from typing import Annotated, Literal

from pydantic import Field

from tapeout.config.values import Model, Name, Seconds


class CheckConfig(Model):
    """`[[check]]`: one command of the gate."""

    name: Name
    """Unique among the checks."""

    kind: Literal[
        "build", "types", "lint", "complexity", "test", "coverage", "duplication", "secrets", "dependencies", "size",
        "scope", "commits", "custom",
    ] = "custom"  # fmt: skip
    """What it verifies. A `test` check that runs no test fails."""

    run: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """The command: text for `sh -c`, or a list of program and arguments."""

    timeout: Seconds = 600.0
    """A check that takes longer fails."""

    defect: str | None = None
    """A command for `sh -c` that plants a defect which this check must see, for `tapeout gate prove`: for checks whose
    kind does not tell what they look at."""

    @property
    def argv(self) -> list[str]:
        """The command as an argument list."""
        return ["sh", "-c", self.run] if isinstance(self.run, str) else list(self.run)


class GateConfig(Model):
    """`[gate]`"""

    tests: Annotated[tuple[str, ...], Field(strict=False)] = (
        "tests/**", "test/**", "**/test_*.py", "**/*_test.py", "**/*.test.*", "**/*.spec.*", "**/*_test.go",
    )  # fmt: skip
    """Globs of test files. A change that removes one of their tests fails the gate."""

    fail_fast: bool = False
    """Stop at the first failing check instead of collecting all findings."""

    pass_env: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Variables that checks get from the floor's environment besides the basic ones."""
