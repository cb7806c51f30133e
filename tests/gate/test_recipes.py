"""What the pages tell people to do with tools of others: hooks through prek, coverage of changed lines."""

import json
import os
import sys

import pytest

from tapeout.gate.discover import discover
from tests.gate.conftest import MakeSite
from tests.gate.site import Site

HOOKS = """
repos:
- repo: local
  hooks:
  - id: no-tabs
    name: no tabs
    language: system
    entry: sh no-tabs.sh
    files: \\.py$
"""

NO_TABS = '! grep -n "$(printf \'\\t\')" "$@"\n'

COVERAGE = (
    "python -m pytest -q -p no:cacheprovider --cov=src --cov-report=xml"
    " && diff-cover coverage.xml --compare-branch origin/main --fail-under 80"
)

SUMS = "def add(a, b):\n    return a + b\n"
TESTS = "import sys\nsys.path.insert(0, 'src')\nimport sums\n\n\ndef test_add():\n    assert sums.add(1, 2) == 3\n"
UNTESTED = SUMS + "\n\ndef halve(a):\n    if a % 2:\n        raise ValueError(a)\n    return a // 2\n"


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools of the environment that runs the tests."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])


def landed(site: Site, files: dict[str, str | None]) -> bool:
    change = site.submit(files)
    site.run()
    return site.state(change) == "landed"


def test_hooks_run_through_prek(make_site: MakeSite) -> None:
    (check,) = (one for one in discover({".pre-commit-config.yaml": HOOKS}, frozenset()) if one.run)
    config = (
        f"[[check]]\nname = {json.dumps(check.name)}\nkind = {json.dumps(check.kind)}\nrun = {json.dumps(check.run)}\n"
    )
    site = make_site(config, **{".pre-commit-config.yaml": HOOKS, "a.py": "x = 1\n", "no-tabs.sh": NO_TABS})
    assert landed(site, {"b.py": "y = 2\n"})
    change = site.submit({"c.py": "if x:\n\ty = 3\n"})
    site.run()
    assert site.state(change) == "failed"
    assert "no tabs" in site.verdict(change)["findings"][0]["excerpt"]


def test_coverage_of_changed_lines(make_site: MakeSite) -> None:
    config = f"[[check]]\nname = 'coverage'\nkind = 'coverage'\nrun = {json.dumps(COVERAGE)}\n"
    site = make_site(config, **{"src__sums.py": SUMS, "tests__test_sums.py": TESTS})
    change = site.submit({"src/sums.py": UNTESTED})
    site.run()
    assert site.state(change) == "failed"
    assert "sums.py" in site.verdict(change)["findings"][0]["excerpt"]
    more = TESTS + "\n\ndef test_halve():\n    assert sums.halve(4) == 2\n"
    odd = more + "\n\ndef test_odd():\n    try:\n        sums.halve(3)\n    except ValueError as e:\n        assert e\n"
    assert landed(site, {"src/sums.py": UNTESTED, "tests/test_halve.py": odd})
