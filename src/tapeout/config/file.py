"""The whole of `tapeout.toml`, from text to values; what is wrong with it is told with its line."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from tapeout.base.errors import UsageError
from tapeout.config.budget import FloorBudget, ProviderConfig
from tapeout.config.context import problem_of_limits
from tapeout.config.gate import CheckConfig, GateConfig, problem_of_needs
from tapeout.config.isolation import SandboxConfig, WorkspaceConfig
from tapeout.config.lanes import LaneConfig
from tapeout.config.prompt import PromptConfig
from tapeout.config.queue import QueueConfig
from tapeout.config.tables import AgentConfig, FloorConfig, ProjectConfig, TrackerConfig
from tapeout.config.values import Model, Name

CONFIG_FILE = "tapeout.toml"


class Config(Model):
    """The whole file."""

    project: ProjectConfig = ProjectConfig()
    floor: FloorConfig = FloorConfig()
    gate: GateConfig = GateConfig()
    queue: QueueConfig = QueueConfig()
    prompt: PromptConfig = PromptConfig()
    tracker: TrackerConfig = TrackerConfig()
    sandbox: SandboxConfig = SandboxConfig()
    workspace: WorkspaceConfig = WorkspaceConfig()
    agents: dict[Name, AgentConfig] = Field(default_factory=dict)
    lane: dict[Name, LaneConfig] = Field(default_factory=dict)
    budget: FloorBudget = FloorBudget()
    provider: dict[Name, ProviderConfig] = Field(default_factory=dict)
    check: Annotated[tuple[CheckConfig, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _checks_fit_together(self) -> "Config":
        names = [check.name for check in self.check]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two checks have the name {repeated[0]!r}")
        if problem := problem_of_needs(self.check):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _limits_are_below_the_ceiling(self) -> "Config":
        limits: dict[str, float | None] = {"floor.context_limit": self.floor.context_limit}
        limits |= {f"floor.model_context_limits.{name}": one for name, one in self.floor.model_context_limits.items()}
        limits |= {f"agents.{name}.context_limit": agent.context_limit for name, agent in self.agents.items()}
        limits |= {f"lane.{name}.context_limit": lane.context_limit for name, lane in self.lane.items()}
        if problem := problem_of_limits(self.floor.context_ceiling, limits):
            raise ValueError(problem)
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
