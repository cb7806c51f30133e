"""A git remote through which clones exchange the tracker's refs, by the git program: it knows the user's logins.

Everything happens in the tracker's own repository; of the user's repository only the settings that reach a remote are
read. What may go wrong: the remote cannot be reached (`Unreachable`; nothing changes on either side), one of its refs
cannot be read (the others are fetched one by one), somebody moves a ref at the same moment (the push of that ref is
refused and says so).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from tapeout.base import git
from tapeout.base.errors import EnvironmentProblem, UsageError
from tapeout.base.packing import LOCK
from tapeout.base.paths import Repository, StatePaths
from tapeout.base.processes import Captured
from tapeout.base.usergit import complaint, user_git

FETCH_SECONDS = 600.0
PUSH_SECONDS = 600.0

_REACHING = r"^(credential|http|https|url|ssh|core\.sshcommand|core\.askpass|protocol)\b"
"""Settings of the user's repository that decide how a remote is reached."""


class Unreachable(EnvironmentProblem):
    """The remote cannot be reached now (exit code 7)."""


class Push(NamedTuple):
    """One ref to write on the remote."""

    ref: str
    commit: str
    """What it shall point to; empty to delete it."""
    expected: str | None = None
    """What it has to point to now, empty for "it must not exist"; None to move it forward only."""


class Remote:
    """One remote: a name of the user's repository, a URL, a path, or a bundle file."""

    def __init__(self, paths: StatePaths, repository: Repository, name: str) -> None:
        """
        Raises:
            UsageError: it is no place to exchange a tracker through.
        """
        self.name = name
        self._folder = paths.tracker_git
        self._user = repository.root
        self.url = self._resolve(name)
        self._settings = self._reaching_settings()
        git.ensure_bare(paths.tracker_git)

    @property
    def is_bundle(self) -> bool:
        """Whether it is a file, which can only be read."""
        return os.path.isfile(self.url)

    def refs(self, *patterns: str) -> dict[str, str]:
        """Refs of the remote that fit a pattern, with what they point to.

        Raises:
            Unreachable: the remote cannot be asked.
        """
        done = self._git("ls-remote", "--quiet", "--", self.url, *patterns, timeout=FETCH_SECONDS)
        if done.exit_code != 0:
            raise Unreachable(
                f"{self.name} cannot be reached: {complaint(done)}", hint="nothing was lost; try again later"
            )
        rows = (line.split("\t") for line in done.output.splitlines() if "\t" in line)
        return {name: commit for commit, name in rows}

    def fetch(self, refspecs: Sequence[str]) -> str | None:
        """Fetch; what git complained of, or None."""
        done = self._git(
            "-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
            "--no-auto-maintenance", "--recurse-submodules=no", "--", self.url, *refspecs, timeout=FETCH_SECONDS,
        )  # fmt: skip
        return None if done.exit_code == 0 else complaint(done)

    def push(self, pushes: Sequence[Push]) -> dict[str, str]:
        """Write refs; ref to why it was refused, for those that were.

        Raises:
            Unreachable: the remote cannot be reached or takes nothing at all.
        """
        if not pushes:
            return {}
        leases = [f"--force-with-lease={one.ref}:{one.expected}" for one in pushes if one.expected is not None]
        done = self._git(
            "push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", *leases, "--",
            self.url, *(f"{one.commit}:{one.ref}" for one in pushes), timeout=PUSH_SECONDS,
        )  # fmt: skip
        answers = _answers(done.output)
        if not answers and done.exit_code != 0:
            raise Unreachable(
                f"cannot push to {self.name}: {complaint(done)}", hint="nothing was lost; try again later"
            )
        return {one.ref: answers.get(one.ref, "no answer") for one in pushes if answers.get(one.ref) != ""}

    def _git(self, *arguments: str, timeout: float) -> Captured:
        return user_git(self._folder, *arguments, timeout=timeout, settings=self._settings, trusted=True)

    def _resolve(self, name: str) -> str:
        asked = user_git(self._user, "remote", "get-url", "--", name, trusted=True)
        url = asked.output.strip() if asked.exit_code == 0 else name
        if url.startswith("-") or not url.strip():
            raise UsageError(f"{name!r} is no remote")
        if asked.exit_code != 0 and "/" not in url and ":" not in url and not os.path.exists(url):
            raise UsageError(
                f"your repository has no remote {name!r}",
                hint="give the name of a remote, a URL, or the path of a file",
            )
        path = os.path.join(self._user, url) if asked.exit_code == 0 else os.path.abspath(url)
        if not os.path.exists(path):
            return url
        if os.path.exists(os.path.join(path, LOCK)):
            raise UsageError(
                f"{path} belongs to the state directory of a clone", hint="exchange through a repository of the project"
            )
        return path

    def _reaching_settings(self) -> list[tuple[str, str]]:
        found = user_git(self._user, "config", "--local", "--null", "--get-regexp", _REACHING, trusted=True)
        pairs = (entry.split("\n", 1) for entry in found.output.split("\0") if "\n" in entry)
        return [(key, value) for key, value in pairs] if found.exit_code == 0 else []


def default_remote(repository: Repository) -> str:
    """`origin`, or the only remote that there is.

    Raises:
        UsageError: there is none, or several and none is called origin.
    """
    names = user_git(repository.root, "remote", trusted=True).output.split()
    if "origin" in names:
        return "origin"
    if len(names) == 1:
        return names[0]
    what = f"several remotes ({', '.join(names)})" if names else "no remote"
    raise UsageError(f"your repository has {what}", hint="name one: tapeout sync REMOTE")


def _answers(output: str) -> dict[str, str]:
    """Ref to what git says of its push: empty for success. Lines are `FLAG<tab>FROM:TO<tab>SUMMARY`."""
    answers = {}
    for line in output.splitlines():
        parts = line.split("\t")
        if len(parts) >= 3 and len(parts[0]) == 1 and ":" in parts[1]:
            answers[parts[1].split(":", 1)[1]] = parts[2] if parts[0] == "!" else ""
    return answers
