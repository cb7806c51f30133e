"""The bundled sample project and its issues: green as shipped, and green after every order of landing.

A small player stands in for the floor here: it plays the scripts with real git, merges as the merge queue does and
runs the project's own checks.
"""

import fnmatch
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tapeout
from tapeout.config import parse_config

DEMO = Path(tapeout.__file__).parent / "demo"
PROJECT = DEMO / "project"
FIELDS = {"id", "title", "type", "priority", "labels", "scope", "depends-on", "acceptance"}
STEPS = {
    "write": {"text"}, "append": {"text"}, "replace": {"old", "new"}, "delete": set(), "run": set(), "commit": set(),
    "say": set(), "sleep": set(), "usage": {"size"}, "ask": set(), "crash": set(), "daemon": set(),
}  # fmt: skip
CONFLICTING = {"register-cleared", "register-line"}
UNSOLVED = "exchange"
REFUSED: dict[str, list[list[set[str]]]] = {
    "monthly": [[{"tests"}]],
    "export": [[{"lint"}]],
    "budget": [[{"compile", "lint", "tests"}, {"tests"}]],
    "version": [[{"no change"}]],
    "shares": [[{"tests"}]],
    "thousands": [[{"tests-kept"}]],
    "audit": [[{"killed"}], []],
    UNSOLVED: [[{"tests"}] * 3, [{"tests"}] * 3],
}
"""Why the turns of each attempt do not land; the one after the last lands. All other issues land at once."""

Turn = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """One issue of the file."""

    id: str
    fields: dict[str, str]
    turns: tuple[Turn, ...]

    def names(self, key: str) -> list[str]:
        """A `[a, b]` field."""
        return [name.strip() for name in self.fields.get(key, "[]").strip("[]").split(",") if name.strip()]

    def attempt(self, number: int) -> list[Turn]:
        """The turns that serve the attempt of that number."""
        own = [turn for turn in self.turns if turn.get("session") == number]
        return own or [turn for turn in self.turns if "session" not in turn]

    def steps(self, action: str) -> list[Any]:
        return [step[action] for turn in self.turns for step in turn["step"] if action in step]


def read_stories() -> list[Story]:
    text = (DEMO / "issues.md").read_text(encoding="utf-8")
    parts = re.split(r"^---\n((?:[a-z-]+:.*\n(?: .*\n)*)+)---\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    stories = []
    for front, body in zip(parts[1::2], parts[2::2], strict=True):
        fields = dict(re.findall(r"^([a-z-]+): *(.*(?:\n .*)*)$", front, re.MULTILINE))
        scripts = re.findall(r"^```tapeout-script\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        assert len(scripts) == 1, f"{fields['id']} has {len(scripts)} scripts"
        stories.append(Story(fields["id"], fields, tuple(tomllib.loads(scripts[0])["turn"])))
    return stories


STORIES = {story.id: story for story in read_stories()}


@dataclass
class Floor:
    """A hub, and as much of a floor as it takes to play the stories one after the other."""

    folder: Path
    environment: dict[str, str]
    main: str = ""
    landed: dict[str, str] = field(default_factory=dict)
    """The merge of each landed issue."""

    @property
    def hub(self) -> Path:
        return self.folder / "hub"

    def run(self, where: Path, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            argv, cwd=where, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
        return result

    def git(self, where: Path, *arguments: str) -> str:
        return self.run(where, "git", *arguments).stdout.strip()

    def open(self) -> None:
        """One commit of the project on main."""
        shutil.copytree(PROJECT, self.hub, ignore=shutil.ignore_patterns("__pycache__"))
        self.git(self.hub, "init", "-q", "-b", "main")
        self.git(self.hub, "config", "receive.denyCurrentBranch", "updateInstead")
        self.git(self.hub, "add", "-A")
        self.git(self.hub, "commit", "-q", "-m", "A small accounting program")
        self.main = self.git(self.hub, "rev-parse", "HEAD")
        self.workspace("gate", self.main)

    def workspace(self, name: str, base: str) -> Path:
        """A clone at a commit; `origin/main` is the hub's."""
        where = self.folder / name
        self.git(self.folder, "clone", "-q", str(self.hub), str(where))
        self.git(where, "reset", "-q", "--hard", base)
        return where

    def play(self, where: Path, turn: Turn) -> bool:
        """One turn; False if the agent was killed in it."""
        for step in turn["step"]:
            if "crash" in step:
                self.git(where, "add", "-A")
                self.git(where, "commit", "-q", "-m", "Saved")
                return False
            self.step(where, step)
        return True

    def step(self, where: Path, step: dict[str, Any]) -> None:
        action = next(iter(STEPS.keys() & step.keys()))
        path = where / str(step[action])
        match action:
            case "write":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step["text"], encoding="utf-8")
            case "append":
                path.write_text(path.read_text(encoding="utf-8") + step["text"], encoding="utf-8")
            case "replace":
                text = path.read_text(encoding="utf-8")
                assert text.count(step["old"]) == 1, f"{step['old']!r} is {text.count(step['old'])} times in {path}"
                path.write_text(text.replace(step["old"], step["new"]), encoding="utf-8")
            case "delete":
                path.unlink()
            case "run":
                self.run(where, "sh", "-c", step["run"])
            case "commit":
                self.git(where, "add", "-A")
                self.git(where, "commit", "-q", "-m", step["commit"])

    def merge(self, where: Path) -> bool:
        """The candidate, left in the folder `gate`; False if there is a conflict."""
        gate = self.folder / "gate"
        self.git(gate, "reset", "-q", "--hard", self.main)
        self.git(gate, "clean", "-fdxq")
        self.git(gate, "fetch", "-q", str(where), "HEAD")
        result = self.run(gate, "git", "merge", "-q", "--no-ff", "-m", "Land", "FETCH_HEAD", check=False)
        return result.returncode == 0

    def refusals(self) -> set[str]:
        """The checks that the candidate fails."""
        gate = self.folder / "gate"
        failed = failing_checks(gate, self.environment)
        return failed | ({"tests-kept"} if names_of_tests(self.hub) - names_of_tests(gate) else set())

    def land(self, story: Story, where: Path) -> None:
        gate = self.folder / "gate"
        changed = self.git(gate, "diff", "--name-only", self.main, "HEAD").splitlines()
        scope = story.names("scope")
        outside = [path for path in changed if not any(fnmatch.fnmatch(path, pattern) for pattern in scope)]
        assert not outside, f"{story.id} touches {outside}"
        self.git(gate, "push", "-q", "origin", "HEAD:main")
        self.landed[story.id] = self.main = self.git(gate, "rev-parse", "HEAD")
        shutil.rmtree(where)


def failing_checks(folder: Path, environment: dict[str, str]) -> set[str]:
    config = parse_config((folder / "tapeout.toml").read_text(encoding="utf-8"))
    failed = set()
    for check in config.check:
        result = subprocess.run(check.argv, cwd=folder, env=environment, capture_output=True, timeout=60, check=False)
        if result.returncode:
            failed.add(check.name)
    return failed


def names_of_tests(folder: Path) -> set[str]:
    names = set()
    for path in (folder / "tests").rglob("*.py"):
        found = re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        names |= {f"{path.relative_to(folder)}:{name}" for name in found}
    return names


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    person = {"NAME": "Sample", "EMAIL": "sample@example.invalid"}
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()},
    }


@pytest.fixture
def floor(tmp_path: Path, environment: dict[str, str]) -> Floor:
    floor = Floor(tmp_path, environment)
    floor.open()
    return floor


def landing_order(seed: int, stories: Sequence[Story]) -> Iterator[Story]:
    """A random order in which every issue comes after those that it depends on."""
    chance = random.Random(seed)
    waiting = list(stories)
    done: set[str] = set()
    while waiting:
        ready = [story for story in waiting if done.issuperset(story.names("depends-on"))]
        story = chance.choice(ready)
        waiting.remove(story)
        done.add(story.id)
        yield story


def attempts(floor: Floor, story: Story, first_commit: str) -> Iterator[tuple[int, list[Turn], Path]]:
    """Each attempt that the outcomes so far ask for, with its workspace."""
    after = [floor.landed[name] for name in story.names("depends-on")]
    base = after[-1] if after else first_commit
    for number in (1, 2):
        where = floor.workspace(f"{story.id}-{number}", base)
        yield number, story.attempt(number), where
        if story.id in floor.landed:
            return
        base = floor.main
        if story.steps("crash"):
            floor.git(floor.hub, "fetch", "-q", str(where), "HEAD")
            base = floor.git(where, "rev-parse", "HEAD")


def test_the_project_is_green_as_bundled(tmp_path: Path, environment: dict[str, str]) -> None:
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    config = parse_config((copy / "tapeout.toml").read_text(encoding="utf-8"))
    assert (config.project.branch, config.floor.agent, config.floor.workers) == ("main", "scripted", 8)
    assert [check.kind for check in config.check] == ["build", "lint", "test"]
    assert failing_checks(copy, environment) == set()


@pytest.mark.parametrize(
    ("path", "text", "check"),
    [
        ("src/ledgerline/wrong.py", "def wrong(:\n", "compile"),
        ("src/ledgerline/wrong.py", "import os\n", "lint"),
        (
            "tests/test_wrong.py",
            "import unittest\n\n\nclass W(unittest.TestCase):\n    def test_w(self): 1 / 0\n",
            "tests",
        ),
    ],
)
def test_each_check_can_go_red(tmp_path: Path, environment: dict[str, str], path: str, text: str, check: str) -> None:
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / path).write_text(text, encoding="utf-8")
    assert check in failing_checks(copy, environment)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_an_issue_is_well_formed(story: Story) -> None:
    assert story.fields.keys() <= FIELDS
    assert story.fields["type"] in {"task", "bug", "feature", "chore"}
    assert story.fields["priority"] in set("01234")
    assert story.fields["acceptance"].startswith("|\n  - ")
    assert set(story.names("depends-on")) <= STORIES.keys() - {story.id}
    assert story.names("scope")
    for turn in story.turns:
        assert turn.keys() <= {"session", "step"}
        for step in turn["step"]:
            (action,) = STEPS.keys() & step.keys()
            assert step.keys() - {action} <= STEPS[action]
            if action in {"write", "append", "replace"}:
                assert step.keys() - {action} == STEPS[action]
            if action in {"write", "append", "replace", "delete"}:
                assert not Path(step[action]).is_absolute()
    assert all(0.1 <= seconds <= 1.5 for seconds in story.steps("sleep"))
    assert all(used < 80_000 for used in story.steps("usage")), "below the 40 % at which a session hands over"
    assert len(story.steps("say")) >= len(story.turns), "an agent says something in each turn"


def test_every_case_is_there() -> None:
    assert len(STORIES) == 16
    assert STORIES["tag-report"].names("depends-on") == ["filter-by-tag"]
    assert STORIES["filter-by-tag"].names("depends-on") == ["parse-tags"]
    assert [name for name, story in STORIES.items() if story.steps("crash") == [signal.SIGKILL]] == ["audit"]
    assert [name for name, story in STORIES.items() if story.steps("daemon")] == ["format-guide"]
    assert [name for name, story in STORIES.items() if story.steps("ask")] == ["remove-converter"]
    assert not any(
        {"write", "append", "replace", "commit"} & step.keys() for step in STORIES["version"].turns[0]["step"]
    )
    assert "all 39 tests pass" in STORIES["shares"].turns[0]["step"][-1]["say"]
    assert not STORIES["shares"].turns[0]["step"][0].keys() & {"run"}
    assert "git checkout origin/main -- tests/test_amounts.py" in STORIES["thousands"].steps("run")
    assert [len(STORIES[UNSOLVED].attempt(number)) for number in (1, 2)] == [3, 3]
    for name in CONFLICTING:
        assert STORIES[name].attempt(1) != STORIES[name].attempt(2)


def test_the_two_that_conflict_start_among_the_first() -> None:
    """The workers take the most urgent issues first: both must be at work before either lands."""
    ready = [story for story in STORIES.values() if not story.names("depends-on")]
    first = sorted(ready, key=lambda story: story.fields["priority"])[:8]
    assert {story.id for story in first} >= CONFLICTING | {UNSOLVED}


def test_each_issue_goes_the_way_it_should(floor: Floor) -> None:
    first_commit = floor.main
    for story in STORIES.values():
        refused: list[list[set[str]]] = []
        for _, turns, where in attempts(floor, story, first_commit):
            refused.append([])
            for turn in turns:
                before = floor.git(where, "rev-parse", "HEAD")
                if not floor.play(where, turn):
                    refused[-1].append({"killed"})
                    break
                if floor.git(where, "rev-parse", "HEAD") == before:
                    refused[-1].append({"no change"})
                elif not floor.merge(where):
                    refused[-1].append({"conflict"})
                    break
                elif failed := floor.refusals():
                    refused[-1].append(failed)
                else:
                    floor.land(story, where)
                    break
        expected = REFUSED.get(story.id, [[]])
        if story.id == "register-line":
            expected = [[{"conflict"}], []]
        assert refused == expected, story.id
    assert floor.landed.keys() == STORIES.keys() - {UNSOLVED}


@pytest.mark.parametrize("seed", range(3))
def test_main_is_green_after_any_order_of_landing(floor: Floor, seed: int) -> None:
    first_commit = floor.main
    conflicts = set()
    solved = [story for story in STORIES.values() if story.id != UNSOLVED]
    for story in landing_order(seed, solved):
        for _, turns, where in attempts(floor, story, first_commit):
            if not all(floor.play(where, turn) for turn in turns):
                continue
            if not floor.merge(where):
                conflicts.add(story.id)
                continue
            floor.land(story, where)
    assert len(conflicts) == 1
    assert conflicts < CONFLICTING
    assert floor.landed.keys() == {story.id for story in solved}
    assert failing_checks(floor.hub, floor.environment) == set()
