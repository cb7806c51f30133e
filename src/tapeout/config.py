"""`tapeout.toml`: what a repository asks of its floor, its agents and its gate.

The file that counts is the one on the *target branch*, read from git: a change never chooses its own checks.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tapeout.base.errors import UsageError

CONFIG_FILE = "tapeout.toml"

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: object) -> object:
    """Seconds from a number or from text such as `"90s"`, `"10m"`, `"1.5h"`; other values pass through."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError('should be a duration such as 90, "90s", "10m" or "1h"')
        return float(match["number"]) * _SECONDS[match["unit"] or "s"]
    return value


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Model(BaseModel):
    """A table of the file: unknown keys are errors, values are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ProjectConfig(Model):
    """`[project]`"""

    branch: str = "main"
    """The target branch: what changes land on."""

    publish: Annotated[str, Field(pattern=r"^(branch|none|remote:[^\s:]+)$")] = "branch"
    """Where landed commits go from the hub: `branch` fast-forwards the branch of the user's repository when that is
    safe, `remote:NAME` pushes to that remote of it, `none` leaves them in the hub."""


class FloorConfig(Model):
    """`[floor]`"""

    workers: Annotated[int, Field(ge=1, le=256)] = 8
    """How many attempts run at once."""

    agent: Name = "claude"
    """The agent that works on issues which do not name one."""

    permissions: Literal["allow", "deny"] = "allow"
    """How an agent's permission requests are answered. Its copy of the code is its own, so the default is `allow`."""

    refine_rounds: Annotated[int, Field(ge=0, le=10)] = 2
    """How often a failed verdict goes back to the same session. Repair gains come mostly in the first two rounds
    (arXiv 2604.10508)."""

    sessions: Annotated[int, Field(ge=1, le=10)] = 2
    """How many sessions may fail before a person is asked. A fresh start restores what a long session lost
    (arXiv 2506.18403)."""

    interruptions: Annotated[int, Field(ge=1, le=20)] = 3
    """How many attempts may end through no fault of the work (a killed agent, a merge conflict) before a person is
    asked."""

    lease: Annotated[Seconds, Field(ge=1, le=3600)] = 60.0
    """How long a claim lives without renewal, a second to an hour. It is renewed three times in that time."""

    turn_timeout: Seconds = 1800.0
    """How long one turn of an agent may take."""

    start_timeout: Seconds = 60.0
    """How long an agent may take to start a session."""


class TrackerConfig(Model):
    """`[tracker]`"""

    remote: Annotated[str, Field(pattern=r"^[^-\s].*$")] | None = None
    """The remote through which clones exchange issues; by default `origin`, or the only one that there is."""

    sync: Seconds | None = None
    """How often a running floor exchanges issues with the remote; not at all by default."""

    claims: Literal["local", "shared"] = "local"
    """`shared`: who takes an issue also takes a lease on the remote, so that of several floors that share only that
    remote one works on it."""


class AgentConfig(Model):
    """`[agents.NAME]`: an agent of your own, or changes to one that the catalog knows."""

    driver: Literal["acp", "command"] | None = None
    """How to talk to it. Required for an agent that the catalog does not know."""

    command: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Program and arguments. For `command` agents, `{prompt}` in an argument is replaced by the prompt; without it the
    prompt is standard input."""

    env: dict[str, str] = {}
    """Variables to set."""

    pass_env: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Variables to pass on from the floor's own environment: the way a secret such as an API key gets to an agent."""

    mode: str | None = None
    """ACP session mode to switch to after the session starts."""


class CheckConfig(Model):
    """`[[check]]`: one command of the gate."""

    name: Name
    """Unique among the checks."""

    kind: Literal["build", "types", "lint", "complexity", "test", "custom"] = "custom"
    """What it verifies. A `test` check that runs no test fails."""

    run: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """The command: text for `sh -c`, or a list of program and arguments."""

    timeout: Seconds = 600.0
    """A check that takes longer fails."""

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


class Config(Model):
    """The whole file."""

    project: ProjectConfig = ProjectConfig()
    floor: FloorConfig = FloorConfig()
    gate: GateConfig = GateConfig()
    tracker: TrackerConfig = TrackerConfig()
    agents: dict[Name, AgentConfig] = {}
    check: Annotated[tuple[CheckConfig, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _unique_check_names(self) -> "Config":
        names = [check.name for check in self.check]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two checks have the name {repeated[0]!r}")
        return self


def parse_config(text: str, source: str = CONFIG_FILE) -> Config:
    """Parse and validate the file's text.

    Raises:
        UsageError: names `source`, the line and the field, and says what is wrong with it.
    """
    try:
        data = tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # tomllib lets too long numbers and too deep arrays through as they are
        raise UsageError(f"{source}: not valid TOML: {error}") from error
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = first["loc"]
        line = _line_of(text, location)
        field = ".".join(f"{part}" for part in location if part not in _UNION_TAGS) or "the file"
        raise UsageError(f"{source}:{line}: {field}: {_message(first, location)}") from error


_UNION_TAGS = ("str", "tuple[str, ...]", "constrained-tuple", "[key]")


def _message(error: Any, location: Sequence[str | int]) -> str:
    if error["type"] == "missing":
        return "at least one [[check]] is required" if tuple(location) == ("check",) else "is required"
    if error["type"] == "extra_forbidden":
        return "is not a known field"
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")


def _line_of(text: str, location: Sequence[str | int]) -> int:
    """Best line for a field path: the key's own, else its table's, else 1."""
    path = [part for part in location if part not in _UNION_TAGS]
    fitting = [(len(named), -number) for number, named in _named_lines(text) if path[: len(named)] == named]
    return -max(fitting)[1] if fitting else 1


def _named_lines(text: str) -> Iterator[tuple[int, list[str | int]]]:
    """Line numbers, from 1, with the field path that the line's key or table header names."""
    counts: dict[str, int] = {}
    table: list[str | int] = []
    for number, line in _outer_lines(text):
        if header := _HEADER.match(line):
            table = list(_key_parts(header["key"]))
            if header["open"] == "[[":
                counts[header["key"]] = counts.get(header["key"], -1) + 1
                table.append(counts[header["key"]])
            yield number, table
        elif key := _KEY.match(line):
            yield number, [*table, *_key_parts(key["key"])]


def _outer_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines, numbered from 1, but for those that begin inside a multi-line string."""
    inside = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not inside:
            yield number, line
        for mark in _MULTILINE.findall(line):
            inside = "" if inside == mark else inside or mark


_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"(?P<key>{_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)\s*{_DOTTED}\s*\]")
_KEY = re.compile(rf"\s*{_DOTTED}\s*=")
_MULTILINE = re.compile(r'"""|\'\'\'')


def _key_parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, key)]
