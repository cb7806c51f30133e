"""Pushing to a site's hub, as people and agents do."""

import subprocess
from pathlib import Path
from typing import TypeAlias

from tests.gate.site import ENV, Site, git

Pushed: TypeAlias = "subprocess.CompletedProcess[str]"


def clone(site: Site, name: str = "clone", *options: str) -> Path:
    git(site.folder, "clone", "-q", *options, f"file://{site.root}", name)
    return site.folder / name


def push(site: Site, folder: Path, *words: str, url: str | None = None, **env: str) -> Pushed:
    where = url or site.paths.hub
    options = [word for word in words if word.startswith("-")]
    refs = [word for word in words if not word.startswith("-")] or ["HEAD:refs/for/main"]
    return subprocess.run(
        ["git", "push", *options, where, *refs],
        cwd=folder, env={**ENV, "TAPEOUT_ACTOR": "ada", **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def refused(done: Pushed, *reasons: str) -> None:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    for reason in reasons:
        assert reason in done.stderr


def refs(site: Site) -> str:
    return git(site.paths.hub, "for-each-ref")
