"""The tables of `tapeout.toml` about the gate: `[gate]` and `[[check]]`."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tapeout.config.values import Model, Name, Seconds, Size

CheckKind = Literal[
    "build", "types", "lint", "complexity", "test", "coverage", "duplication", "secrets", "dependencies", "size",
    "scope", "commits", "custom",
]  # fmt: skip
ReportFormat = Literal["exit", "sarif", "junit", "lines", "eslint", "cargo", "go-test"]
Command = str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]

_RANGE = re.compile(r"\s*(?:[<>]=?|[=!]=)\s*\d+(?:\.\d+)*\s*")


BUILTIN_KINDS = frozenset({"size", "scope", "secrets", "commits", "duplication", "dependencies"})
"""Kinds of checks that Tapeout itself can do."""


class CheckConfig(Model):
    """`[[check]]`: one command of the gate."""

    name: Name
    """Unique among the checks."""

    kind: CheckKind = "custom"
    """What it verifies. A `test` check that runs no test fails."""

    run: Command | None = None
    """The command: text for `sh -c`, or a list of program and arguments. Checks of the kinds `size`, `scope`,
    `secrets`, `commits`, `duplication` and `dependencies` need none: without it Tapeout looks at the change itself."""

    timeout: Seconds = 600.0
    """A check that takes longer fails."""

    report: ReportFormat = "exit"
    """What it says besides its exit code: `sarif`, `junit`, `lines` (`file:line:column: message [rule]`), or the JSON
    of `eslint -f json`, `cargo --message-format=json`, `go test -json`. `exit`: nothing that can be read."""

    report_file: str | None = None
    """File, in the checkout, to which it writes the report; by default it prints it."""

    paths: Texts = ()
    """Globs. The check runs only if the change touches a file that fits one of them; empty: always."""

    needs: Names = ()
    """Checks that must have passed first."""

    ratchet: bool = False
    """Only findings that the target branch does not have count. Needs a `report`."""

    blocking: bool = True
    """`false`: the check advises. What it finds is told, and refuses nothing."""

    version: Command | None = None
    """A command that prints the version of its tool, which is recorded."""

    expects: str | None = None
    """The version that is required: the beginning of it (`"0.14"`, `"ruff 0.14"`) or a range (`">=0.14,<1"`). Another
    version stops the queue and blames no change."""

    cacheable: bool = True
    """Whether a pass may be reused for the same files, command, tools and environment. `dependencies` checks never are:
    what is known about packages changes by itself."""

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

    @field_validator("report_file")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        if value is not None and (not value or value.startswith("/") or {"", ".", ".."} & set(value.split("/"))):
            raise ValueError("should be a file below the checkout, such as report.xml")
        return value

    @field_validator("expects")
    @classmethod
    def _version_or_range(cls, value: str | None) -> str | None:
        if value is None:
            return None
        is_range = value.lstrip()[:1] in {"<", ">", "=", "!"}
        if not value.strip() or (is_range and not all(map(_RANGE.fullmatch, value.split(",")))):
            raise ValueError('should be the beginning of a version, such as "0.14", or a range, such as ">=0.14,<1"')
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "CheckConfig":
        if self.run is None and self.kind not in BUILTIN_KINDS:
            raise ValueError(f"a {self.kind} check needs run, its command")
        if self.report == "exit" and self.ratchet:
            raise ValueError("ratchet needs a report: without one nobody knows which findings are new")
        if self.report == "exit" and self.report_file is not None:
            raise ValueError("report_file needs a report: say which format the file has")
        if self.expects is not None and self.version is None:
            raise ValueError("expects needs version, the command that prints it")
        if self.name in self.needs:
            raise ValueError("the check needs itself")
        return self

    @property
    def command(self) -> str:
        """The command for people; what Tapeout itself looks at, if there is none."""
        if self.run is None:
            return f"tapeout: {self.kind} of the change"
        return self.run if isinstance(self.run, str) else shlex.join(self.run)

    @property
    def argv(self) -> list[str]:
        """The command as an argument list."""
        return ["sh", "-c", self.run] if isinstance(self.run, str) else list(self.run or ())


Rule = Literal["person", "allow"]


class PrivilegedConfig(Model):
    """`[gate.privileged]`: what a change may do by itself (`allow`), and what needs a person (`person`)."""

    tests: Rule = "person"
    """Removing, skipping or weakening tests, and tests that fail as they are on the target branch."""

    suppressions: Rule = "person"
    """`noqa`, `type: ignore`, `eslint-disable`, `#[allow]`, tests skipped from the start, lowered thresholds."""

    gate: Rule = "person"
    """`tapeout.toml`, and programs of the repository that a check runs."""

    ci: Rule = "person"
    """Workflows of continuous integration, code owners."""

    hooks: Rule = "person"
    """Git hooks, pre-commit configuration, filters and drivers in `.gitattributes`, submodules."""

    rules: Rule = "person"
    """What agents are told: `AGENTS.md`, `CLAUDE.md`, `.agents/` and the like."""

    startup: Rule = "person"
    """Code that runs before or around all tests: `sitecustomize.py`, `*.pth`, modules that shadow a tool's; in
    `conftest.py` hooks, fixtures that every test gets and code that runs at import. Other fixtures are free."""

    tools: Rule = "person"
    """Configuration of test runners, linters and type checkers."""

    build: Rule = "person"
    """Build scripts, scripts of `package.json` that exist, Makefile targets that a check calls."""

    dependencies: Rule = "allow"
    """Dependencies and lock files."""

    files: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs of further files that need a person."""

    tree: Rule = "person"
    """Look-alike paths, links that lead out of the repository, names that git or another system treats differently."""

    text: Rule = "person"
    """Invisible characters, and words of look-alike letters, in source text."""

    commits: Rule = "person"
    """Rewritten history, `Tapeout-` trailers, commits under the gate's own name."""


class GateConfig(Model):
    """`[gate]`"""

    tests: Annotated[tuple[str, ...], Field(strict=False)] = (
        "tests/**", "test/**", "**/test_*.py", "**/*_test.py", "**/*.test.*", "**/*.spec.*", "**/*_test.go",
    )  # fmt: skip
    """Globs of test files. A change that removes one of their tests fails the gate."""

    largest_file: Annotated[int, Field(ge=1)] = 5_000_000
    """Bytes: what a `size` check without `run` allows one file."""

    most_lines: Annotated[int, Field(ge=1)] = 10_000
    """How many lines a change may add, for a `size` check without `run`."""

    always_in_scope: Annotated[tuple[str, ...], Field(strict=False)] = ("CHANGELOG*",)
    """Globs of files that a change may touch though its issue does not declare them, besides tests; for a `scope` check
    without `run`."""

    not_secret: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs of files in which a `secrets` check without `run` does not look, such as recorded answers of a service."""

    fail_fast: bool = False
    """Stop at the first failing check instead of collecting all findings."""

    keep_logs: Seconds | None = None
    """How long `tapeout gc` keeps the logs of checks, such as `"2000h"`; for ever by default. Records stay."""

    pass_env: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Variables that checks get from the floor's environment besides the basic ones."""

    order: Literal["measured", "declared"] = "measured"
    """In which order checks run, within `needs`: `measured` begins with what fails most for its time, by past runs."""

    flaky_reruns: Annotated[int, Field(ge=0, le=5)] = 1
    """How often a failed `test` check is run again on the same files, to recognise flaky tests."""

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

    privileged: PrivilegedConfig = PrivilegedConfig()
    """The table `[gate.privileged]`."""

    bug_tests: bool = True
    """Tests that a change for an issue of type `bug` adds must fail without the change."""


def problem_of_needs(checks: Sequence[CheckConfig]) -> str:
    """Why these checks cannot be put in an order, one line; empty if they can. Pure."""
    needs = {check.name: check.needs for check in checks}
    for check in checks:
        for need in check.needs:
            if need not in needs:
                return f"check {check.name!r} needs {need!r}, and there is no such check"
    waiting = dict(needs)
    while waiting:
        free = [name for name, names in waiting.items() if not waiting.keys() & set(names)]
        if not free:
            return f"checks need each other in a circle: {' -> '.join(_circle(waiting))}"
        for name in free:
            del waiting[name]
    return ""


def _circle(waiting: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle among checks of which each needs another of them."""
    seen: list[str] = []
    name = next(iter(waiting))
    while name not in seen:
        seen.append(name)
        name = next(need for need in waiting[name] if need in waiting)
    return [*seen[seen.index(name) :], name]
