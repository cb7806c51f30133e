"""`tapeout plan`: what is taken from a planner is one file, read with limits, checked strictly, filed by a person."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.errors import EnvironmentProblem, NotFound, UsageError
from tapeout.base.paths import StatePaths
from tapeout.floor.planning import plans
from tapeout.floor.planning.prompts import PLAN_FILE, mending_prompt, planner_prompt
from tapeout.floor.planning.proposal import MOST_BYTES, MOST_ISSUES, read_proposal
from tapeout.tracker import Draft, Tracker
from tests.floor.conftest import Workbench, script, step, turn
from tests.floor.test_prompting import HOSTILE, headings

SLEEP = f"6{os.getpid()}"
"""Seconds: a process that is told apart from others."""

GOOD = """\
---
id: parse
title: Parse names with titles
type: feature
priority: 1
labels: [api]
scope: [names.py, tests/**]
acceptance: [it parses, a test covers it]
---
Names have titles.

---
title: Greet people by their title
depends-on: [parse]
acceptance: it greets
---
Politely.
"""


def one(**fields: str) -> str:
    matter = {"title": "One", "acceptance": "it works", **fields}
    return "---\n" + "".join(f"{key}: {value}\n" for key, value in matter.items()) + "---\nDo it.\n"


def problems(content: bytes | str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read_proposal(content.encode() if isinstance(content, str) else content, PLAN_FILE)
    assert "\n" not in caught.value.message
    assert isinstance(caught.value.details, list)
    return caught.value.details


def test_a_good_plan_is_issues() -> None:
    first, second = read_proposal(GOOD.encode(), PLAN_FILE)
    assert (first.name, first.type, first.priority, first.labels) == ("parse", "feature", 1, ("api",))
    assert second.depends_on == ("parse",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it is empty"),
        (b"\xff\xfe", "not valid UTF-8 at byte 0"),
        ("x" * (MOST_BYTES + 1), "longer than 200,000 bytes"),
        (one(title="a\x1b[2Jb"), "line 2 holds the invisible character U+001B"),
        (one(title="a\u202eb"), "line 2 holds the invisible character U+202E"),
        ("".join(one(title=f"Issue {n}") for n in range(MOST_ISSUES + 1)), f"it has {MOST_ISSUES + 1} issues"),
        (one(title="Same ") + one(title="same"), "two issues have the title 'same'"),
        (one(id="a") + one(id="a", title="Two"), "two issues have the id 'a'"),
        (one(acceptance=""), "'One': it has no acceptance criteria"),
        (one()[: -len("Do it.\n")], "'One': it has no body"),
        (one(agent="scripted"), "'One': a plan does not set agent"),
        (one(supersedes="abc"), "this one has supersedes"),
        (one(scope="../../etc/passwd"), "leads out of the repository"),
        (one(scope="/etc/**"), "leads out of the repository"),
        (one(labels=", ".join("abcdefghijkl")), "it has 12 labels"),
        (one(rank="1"), "unknown field 'rank'"),
        (one(type="wish"), "'wish' is not an issue type"),
        ("# Plan\n\nFirst I would do this.\n" + one(), "before the first front matter"),
        ('{"issues": []}', "no issue found"),
        ("---\ntitle: " + "[" * 50_000 + "\n---\nx", "front matter"),
        ("---\ntitle: &a [x, x]\nlabels: [*a, *a]\n---\nx", "title should be text"),
    ],
)  # fmt: skip
def test_a_bad_plan_is_refused_with_a_line_that_says_why(content: bytes | str, problem: str) -> None:
    found = problems(content)
    assert any(problem in one for one in found), found


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(one(acceptance="", agent="x") + one(title="Two", due="2027-01-31", scope="/x"))
    assert len(found) == 4


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: f"---\ntitle: {text}".encode())))
def test_no_file_raises_anything_but_its_problems(content: bytes) -> None:
    with contextlib.suppress(UsageError):
        assert read_proposal(content, PLAN_FILE)


@pytest.mark.parametrize("text", HOSTILE)
def test_neither_goal_nor_digest_is_a_section_of_the_planners_prompt(text: str) -> None:
    mine = headings(planner_prompt("A goal.", "A digest.", "main", ["docs"]))
    if text.startswith("`" * 64):
        with pytest.raises(UsageError, match="of its lines"):
            planner_prompt(text, "A digest.", "main", [])
    else:
        assert headings(planner_prompt(text, "A digest.", "main", ["docs"])) == mine
    assert headings(mending_prompt([text], 1)) == []


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker.open(StatePaths(str(tmp_path / "state")), "ada") as tracker:
        yield tracker


def test_a_plan_is_checked_against_what_there_is_and_filed_once(tracker: Tracker) -> None:
    path = plans.keep(tracker.paths, "plan-1", GOOD.encode())
    before = tracker.counts()
    assert len(plans.load(tracker, path).drafts) == 2
    assert tracker.counts() == before, "looking files nothing"
    filed = plans.file_issues(tracker.paths, tracker, path)
    assert [issue.title for issue in filed] == ["Parse names with titles", "Greet people by their title"]
    assert tracker.issue(filed[1].id).open_blockers == 1
    with pytest.raises(UsageError, match="'Greet people by their title' is open already"):
        plans.file_issues(tracker.paths, tracker, path)
    assert tracker.counts().open == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (one(**{"depends-on": "nobody"}), "nobody"),
        (one(id="a", **{"depends-on": "b"}) + one(id="b", title="Two", **{"depends-on": "a"}), "cycle|circle"),
        (one(title="There is one"), "open already"),
    ],
)
def test_what_a_plan_names_must_be_there(tracker: Tracker, content: str, problem: str) -> None:
    tracker.create(Draft("There is one"))
    with pytest.raises(UsageError, match=problem):
        plans.checked(tracker, content.encode(), PLAN_FILE)
    assert tracker.counts().open == 1


def test_a_plan_that_is_no_file_is_not_waited_for(tracker: Tracker, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        plans.load(tracker, str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="should be a file"):
            plans.load(tracker, str(path))


def workspaces_of(bench: Workbench) -> list[str]:
    folder = Path(bench.paths.workspaces)
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


def test_a_refused_file_goes_back_to_the_session_and_a_good_one_is_filed_by_a_person(bench: Workbench) -> None:
    goal = script(
        turn(step(run="cp README.md stolen; git rev-parse HEAD"), step(write=PLAN_FILE, text=one(acceptance=""))),
        turn(step(write=PLAN_FILE, text=GOOD), step(write="README.md", text="changed\n"), step(commit="Mine")),
    )  # fmt: skip
    before = bench.git("rev-parse", "HEAD")

    made = bench.data("plan", goal)

    assert [issue["title"] for issue in made["issues"]] == ["Parse names with titles", "Greet people by their title"]
    assert made["filed"] == []
    assert bench.data("issue", "list") == []
    assert workspaces_of(bench) == []
    assert bench.git("rev-parse", "HEAD") == before
    assert not [name for name in bench.hub.references if "plan-" in name], "nothing of the workspace is kept"
    assert bench.run("plan", goal).stdout.endswith(".md\n")
    filed = bench.data("plan", "--apply", made["file"])["filed"]
    assert len(filed) == 2
    again = bench.data("plan", "--apply", made["file"], code=2)
    assert "open already" in again["message"]
    assert bench.data("plan", code=2)["code"] == "usage"


def test_links_pipes_and_endless_files_are_refused_and_the_session_ends(bench: Workbench) -> None:
    goal = script(
        turn(step(run=f"ln -s /etc/passwd {PLAN_FILE}")),
        turn(step(run=f"rm {PLAN_FILE}; mkfifo {PLAN_FILE}")),
        turn(step(run=f"rm {PLAN_FILE}; truncate -s 1G {PLAN_FILE}"), step(daemon=f"sleep {SLEEP}")),
        turn(step(write=PLAN_FILE, text=GOOD)),
    )

    refused = bench.data("plan", goal, code=2)

    assert "told 2 times what is wrong" in refused["message"]
    assert workspaces_of(bench) == []
    assert bench.data("issue", "list") == []
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", SLEEP]]


def hanging(bench: Workbench, known: list[str]) -> tuple["subprocess.Popen[str]", str]:
    """A planner in the middle of its turn, and the name of its workspace."""
    process = bench.start("plan", script(turn(step(write="reached", text=""), step(hang=True, deaf=True))))
    while not (found := set(Path(bench.paths.workspaces).glob("plan-*/code/reached")) - {Path(one) for one in known}):
        assert process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    (reached,) = found
    known.append(str(reached))
    return process, reached.parent.parent.name


def test_a_planner_that_is_stopped_leaves_nothing_and_one_that_is_killed_nothing_for_long(bench: Workbench) -> None:
    known: list[str] = []
    killed, left = hanging(bench, known)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert left in workspaces_of(bench)

    stopped, other = hanging(bench, known)
    stopped.send_signal(signal.SIGTERM)
    assert "planning was stopped" in stopped.communicate()[1]

    assert stopped.returncode == EnvironmentProblem.exit_code
    assert workspaces_of(bench) == []
    environments = [one.info["environ"] or {} for one in psutil.process_iter(["environ"])]
    assert not {left, other} & {environment.get("TAPEOUT_ATTEMPT") for environment in environments}
