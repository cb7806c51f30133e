"""Every shell block of README and the guides that is marked ```` ```sh test ```` runs, in order, as it stands there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.docs.pages import MARK, PAGES, ROOT, blocks

TESTED = [page for page in PAGES if any(block.info == MARK for block in blocks(page))]
AT_ONCE = 4
"""Pages that run side by side: most of the time they wait."""

HANGS_SECONDS = 300
"""After this time a page hangs. The longest takes some 10 s alone, and a minute on a machine that is busy elsewhere."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, as a person's would be."""
    folder = Path(tempfile.mkdtemp(prefix="docs-"))
    yield folder
    shutil.rmtree(folder)


def test_the_first_page_and_every_guide_are_tested() -> None:
    names = {str(page.relative_to(ROOT)) for page in TESTED}
    guides = {str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "how-to").glob("*.md")}
    assert {"README.md"} | guides <= names


def test_what_the_pages_tell_to_type_works(place: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = dict(zip(TESTED, pool.map(lambda page: _run(page, place), TESTED), strict=True))
    failed = {page.name: done for page, done in runs.items() if done.returncode or "internal error" in done.stdout}
    assert not failed, "\n\n".join(
        f"{name}: exit code {done.returncode}\n{done.stdout[-4000:]}" for name, done in failed.items()
    )


def _run(page: Path, place: Path) -> "subprocess.CompletedProcess[str]":
    """Run the marked blocks of a page as one script, in the project's folder."""
    script = "".join(f"# {page.name}:{block.line}\n{block.text}" for block in blocks(page) if block.info == MARK)
    environment = {
        **os.environ,
        "TMPDIR": str(place),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
    }
    return subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script], cwd=ROOT, env=environment, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=HANGS_SECONDS,
    )  # fmt: skip
