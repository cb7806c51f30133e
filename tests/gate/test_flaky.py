"""A test that fails and then passes on the same files is named, and no change can bring one in."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tapeout.gate import run_gate_here
from tapeout.gate.cache import Sighting
from tapeout.gate.flaky import MOST, objection, worth_rerunning
from tapeout.gate.reports import TestCase
from tapeout.tracker.queries import Filter
from tests.gate.conftest import MakeSite
from tests.gate.site import Site, commit_files

pytestmark = pytest.mark.usefixtures("unconfined")

PYTEST = (
    f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist -p no:timeout -c /dev/null --rootdir=."
    " --junitxml=report.xml"
)
CONFIG = f"""
[[check]]
name = "unit"
kind = "test"
run = "{PYTEST}"
report = "junit"
report_file = "report.xml"
"""
FLAKY = """
import os

def test_flaky():  # fails every other time
    marker = {marker!r}
    if os.path.exists(marker):
        os.unlink(marker)
    else:
        open(marker, "w").close()
        raise OSError("connection reset")

def test_steady():
    pass
"""
TEST = "tests.test_f::test_flaky"


@pytest.fixture
def flaky_site(make_site: MakeSite, tmp_path: Path) -> Site:
    return make_site(CONFIG, **{"tests__test_f.py": FLAKY.format(marker=str(tmp_path / "marker"))})


def flaky_issues(site: Site) -> list[str]:
    return [issue.title for issue in site.tracker.issues(Filter(label="flaky"))]


def test_a_flaky_test_of_main_is_refused_once_then_named_and_let_pass(flaky_site: Site) -> None:
    first = flaky_site.submit({"a.txt": "x"})
    flaky_site.run()
    assert flaky_site.state(first) == "failed"
    assert flaky_site.verdict(first)["reason"] == (
        f"unit: flaky: {TEST} failed, then passed on the same files; refused, because {TEST} was never seen flaky"
        " without this change"
    )
    assert flaky_site.verdict(first)["notes"] == [f"unit: flaky: {TEST}"]
    assert flaky_issues(flaky_site) == [f"Flaky test: {TEST}"]

    second = flaky_site.submit({"b.txt": "x"})
    flaky_site.run()
    assert flaky_site.state(second) == "landed"
    assert flaky_site.verdict(second)["reason"] == f"1 check passed (unit: flaky: {TEST})"
    evidence = flaky_site.evidence(flaky_site.main)
    assert evidence is not None
    assert evidence["checks"][0]["flaky"] == [TEST]
    logs = Path(flaky_site.paths.evidence, evidence["run"])
    assert "connection reset" in (logs / "unit.log").read_text()
    assert "2 passed" in (logs / "unit.rerun1.log").read_text()
    assert flaky_issues(flaky_site) == [f"Flaky test: {TEST}"], "one issue a test"

    assert run_gate_here(flaky_site.paths, flaky_site.repository).results[0].cached == "", "a flaky pass is not reused"


def test_a_change_cannot_bring_a_flaky_test_in(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site(CONFIG, **{"tests__test_a.py": "def test_a():\n    pass\n"})
    text = FLAKY.format(marker=str(tmp_path / "marker"))
    for _ in range(3):  # other issues try, too
        change = site.submit({"tests/test_f.py": text})
        site.run()
        assert site.state(change) == "failed"
        assert f"because the change touches the file of {TEST}" in site.verdict(change)["reason"]
    assert flaky_issues(site) == [], "nobody else has that test"


def test_a_test_that_fails_twice_has_failed(make_site: MakeSite) -> None:
    site = make_site(CONFIG, **{"tests__test_a.py": "def test_a():\n    raise ValueError\n"})
    verdict = run_gate_here(site.paths, site.repository)
    assert verdict.reason == "unit: exit code 1: 1 of 1 tests failed: tests.test_a::test_a"
    assert verdict.results[0].flaky == ()


ALTERNATING = """
[[check]]
name = "unit"
kind = "KIND"
run = "echo 3 passed; if test -e @; then rm @; else touch @; exit 1; fi"
"""


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (ALTERNATING.replace("KIND", "test"), "nobody can tell whether the change made them flaky"),
        (ALTERNATING.replace("KIND", "lint"), "unit: exit code 1: 3 passed"),
        ("[gate]\nflaky_reruns = 0\n" + ALTERNATING.replace("KIND", "test"), "unit: exit code 1: 3 passed"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(make_site: MakeSite, tmp_path: Path, config: str, reason: str) -> None:
    site = make_site(config.replace("@", str(tmp_path / "marker")))
    for _ in range(2):
        change = site.submit({"a.txt": "x"})
        site.run()
        assert site.state(change) == "failed"
        assert reason in site.verdict(change)["reason"]
        commit_files(site.root, {"between.txt": str(_)})
        (tmp_path / "marker").unlink(missing_ok=True)


def case(name: str, path: str = "tests/test_f.py") -> TestCase:
    return TestCase("tests.test_f", name, "failed", 0.1, path)


SEEN = [Sighting("tests.test_f::a", "one", "t1"), Sighting("tests.test_f::b", "", "landed")]


@pytest.mark.parametrize(
    ("failed", "seen", "issue", "touched", "allowed"),
    [
        ([case("a")], SEEN, "two", (), True),
        ([case("a")], SEEN, "two one", (), False),
        ([case("a")], [Sighting("tests.test_f::a", "one two", "t1")], "one", (), False),  # in a combination
        ([case("a")], [Sighting("tests.test_f::a", "one two", "t1")], "three", (), True),
        ([case("a")], SEEN, "one", (), False),  # only this issue's own attempts saw it
        ([case("b")], SEEN, "one", (), True),  # seen on the target branch
        ([case("a"), case("b")], SEEN, "two", (), True),
        ([case("a"), case("c")], SEEN, "two", (), False),
        ([case("a")], SEEN, "two", ("tests/test_f.py",), False),
        ([case("a", path="")], SEEN, "two", (), False),
        ([case("a")], [Sighting("tests.test_f::a", "", "elsewhere")], "two", (), False),
        ([case("a")], [], "two", (), False),
        ([], SEEN, "two", (), False),
    ],
)
def test_the_rule(
    failed: list[TestCase],
    seen: Iterable[Sighting],
    issue: str,
    touched: tuple[str, ...],
    allowed: bool,
) -> None:
    assert (not objection(failed, seen, issue=issue, landed={"landed"}, touched=touched)) is allowed


def test_many_failures_are_no_coincidence() -> None:
    assert worth_rerunning([case("a")] * MOST)
    assert not worth_rerunning([case("a")] * (MOST + 1))
