"""A site for each test, and the promise that no process and no checkout outlives a test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tapeout.base.processes import become_subreaper, end_descendants
from tapeout.base.sandbox import Absence, detect
from tapeout.base.sandbox.bubblewrap import Bubblewrap
from tapeout.gate import confine
from tests.gate.pushing import clone
from tests.gate.site import CONFIG, Site, commit_files
from tests.support.processes import words_of

MakeSite = Callable[..., Site]

needs_bubblewrap = pytest.mark.skipif(
    not isinstance(detect(), Bubblewrap), reason="bubblewrap does not work here, as inside of another sandbox"
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "TAPEOUT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    become_subreaper()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    names = [" ".join(words) for child in left if (words := words_of(child))]
    end_descendants(grace=0, keep=before)
    assert not names, f"processes were left: {names}"


@pytest.fixture
def unconfined(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sandbox: for tests whose checks leave marks outside of the checkout, to be counted."""
    monkeypatch.setattr(confine, "detect", lambda: Absence(("the checks of this test write outside",)))


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    sites: list[Site] = []

    def make(config: str = CONFIG, **files: str) -> Site:
        folder = tmp_path / f"site{len(sites)}"
        sites.append(Site(folder, config, {name.replace("__", "/"): text for name, text in files.items()}))
        return sites[-1]

    yield make
    for site in sites:
        site.close()
        checkouts = os.listdir(site.paths.gate) if os.path.isdir(site.paths.gate) else []
        assert not checkouts, f"checkouts were left: {checkouts}"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def work(site: Site) -> Path:
    """A clone with one commit to push."""
    folder = clone(site)
    commit_files(folder, {"a.txt": "x\n"}, "Add a\n\nBecause it is needed.")
    return folder
