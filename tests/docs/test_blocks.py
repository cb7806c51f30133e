"""Every shell block of README and the guides that is marked ```` ```sh test ```` runs, in order, as it stands there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import MARK, PAGES, ROOT, blocks

TESTED = [page for page in PAGES if any(block.info == MARK for block in blocks(page))]


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


@pytest.mark.parametrize("page", TESTED, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_works(page: Path, place: Path) -> None:
    script = "".join(f"# {page.name}:{block.line}\n{block.text}" for block in blocks(page) if block.info == MARK)
    environment = {
        **os.environ,
        "TMPDIR": str(place),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
    }
    done = subprocess.run(
        ["bash", "-euxo", "pipefail"], input=script, cwd=ROOT, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in done.stdout, done.stdout[-6000:]
