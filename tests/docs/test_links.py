"""Links between the pages lead somewhere, and nothing is written that only holds on one machine."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: there is no {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {target.name} has no heading for #{anchor}"


def test_every_page_can_be_reached_from_the_first() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        local = [link.partition("#")[0] for link in links(page) if not re.match(r"[a-z]+:", link)]
        targets = [(page.parent / link).resolve() for link in local if link]
        waiting += [target / "README.md" if target.is_dir() else target for target in targets]
    missing = [str(page.relative_to(ROOT)) for page in PAGES if page not in reached]
    assert missing == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "images" / "demo.svg"], ids=lambda page: page.name)
def test_no_path_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(?:work|root|home/\w+)/", text)
    assert page.suffix != ".svg" or not re.search(r"(?:href|src|url\()\W*http", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{page.name}: {path} has no {name}"


def test_places_in_the_code_that_the_first_page_names_exist() -> None:
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    places = {place for row in rows for place in re.findall(r"`([\w/]+(?:/|\.py))`", row)}
    assert places
    missing = [place for place in sorted(places) if not (ROOT / "src" / "tapeout" / place).exists()]
    assert missing == []
