"""The tables of `tapeout.toml` about the gate: `[gate]` and `[[check]]`."""

from typing import Annotated, Literal

from pydantic import Field

from tapeout.config.values import Model, Name, Seconds, Size


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

    network: bool = False
    """Whether it may reach the network. Without it only 127.0.0.1 answers, inside the sandbox."""

    memory: Size | None = None
    """As in `[gate]`, for this check."""

    processes: Annotated[int, Field(ge=1)] | None = None
    """As in `[gate]`, for this check."""

    file_size: Size | None = None
    """As in `[gate]`, for this check."""

    output: Size | None = None
    """As in `[gate]`, for this check."""

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

    sandbox: Literal["required", "preferred", "off"] = "preferred"
    """`required`: where there is no sandbox the queue stops. `preferred`: then checks run without one, and verdicts say
    so. `off`: no sandbox."""

    readable: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs of files and folders that checks may read although they lie in your home, such as
    `"~/.cache/pre-commit"`. The programs on `PATH` need no entry."""

    memory: Size | None = None
    """How much memory the processes of one check may use together, such as `"4GB"`; by default three quarters of the
    machine's."""

    processes: Annotated[int, Field(ge=1)] = 2000
    """How many processes one check may have at once."""

    file_size: Size = 8 * 1024**3
    """The largest file that a check may write."""

    output: Size = 1024**3
    """How much a check may print."""
