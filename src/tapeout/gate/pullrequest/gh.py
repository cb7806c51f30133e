"""GitHub's program `gh`, with the user's own environment, login and configuration. The only file that knows it."""

import json
import os
import re
import shutil
import tempfile
from typing import NamedTuple

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.processes import Captured, run_captured

GH_SECONDS = 60.0
"""How long one call may take."""

_LISTED = "100"
"""How many pull requests are looked at, newest first: those of forks from a branch of the same name count too."""

_FIELDS = "number,state,headRefOid,mergeCommit,url,isCrossRepository"
_SCRUBBED = ("GIT_", "LANG", "LC_", "LANGUAGE", "GH_FORCE_TTY", "GH_DEBUG", "GH_PROMPT")
_SET = {
    "LC_ALL": "C",
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "NO_COLOR": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_USER_INFO = re.compile(r"^([a-z+]+://)[^/@]*@(?=[^/]*/)", re.IGNORECASE)


class PullRequest(NamedTuple):
    """One pull request of our branch."""

    number: int
    state: str
    """`OPEN`, `MERGED` or `CLOSED`."""
    head: str
    """The commit of ours that it was at last."""
    merged_as: str
    """The commit of the target branch that it became; empty if it was not merged."""
    url: str


class Gh:
    """Pull requests of one remote."""

    def __init__(self, folder: str, url: str) -> None:
        """For the repository at `url`, a remote of the repository in `folder`.

        Raises:
            EnvironmentProblem: there is no `gh`.
        """
        program = shutil.which("gh")
        if program is None or not os.path.isabs(program):  # a relative one would be whatever landed in the repository
            raise EnvironmentProblem("cannot open a pull request: gh is not on PATH", hint="https://cli.github.com")
        self._program = program
        self._folder = folder
        # `gh` takes an address; a password in it would be seen by everybody on this machine
        self._repository = [] if os.environ.get("GH_REPO") else [f"--repo={_USER_INFO.sub(chr(92) + '1', url)}"]

    def of_branch(self, branch: str) -> list[PullRequest]:
        """Pull requests from a branch of that repository itself, newest first.

        Raises:
            EnvironmentProblem: `gh` cannot tell: no login, no network.
        """
        done = self._run("list", f"--head={branch}", "--state=all", f"--limit={_LISTED}", f"--json={_FIELDS}")
        for line in reversed(done.splitlines()):  # what it warns about stands before or after
            found = _parse(line)
            if found is not None:
                return sorted(found, reverse=True)
        raise EnvironmentProblem(
            "gh pr list printed no list of pull requests", hint="is it GitHub's gh, and a recent one?"
        )

    def create(self, branch: str, target: str, title: str, body: str) -> str:
        """Open a pull request; returns its address.

        Raises:
            EnvironmentProblem: as above, or there is one already.
        """
        done = self._run(
            "create", f"--head={branch}", f"--base={target}", f"--title={title}", "--body-file=-", body=body
        )
        addresses = [word for word in done.split() if word.startswith(("https://", "http://"))]
        return addresses[-1] if addresses else ""

    def edit(self, number: int, title: str, body: str) -> None:
        """Give a pull request another title and description.

        Raises:
            EnvironmentProblem: as above.
        """
        self._run("edit", str(number), f"--title={title}", "--body-file=-", body=body)

    def _run(self, action: str, *arguments: str, body: str = "") -> str:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SCRUBBED)}
        with tempfile.TemporaryFile() as stdin:
            stdin.write(body.encode())
            stdin.seek(0)
            done = run_captured(
                [self._program, "pr", action, *self._repository, *arguments],
                cwd=self._folder, env={**inherited, **_SET}, timeout=GH_SECONDS, keep=1_000_000, stdin=stdin,
            )  # fmt: skip
        if done.exit_code != 0:
            raise EnvironmentProblem(f"gh pr {action} failed: {_complaint(done)}")
        return done.output


def _parse(line: str) -> list[PullRequest] | None:
    try:
        return [
            PullRequest(
                int(one["number"]),
                str(one["state"]),
                str(one["headRefOid"]),
                str((one["mergeCommit"] or {}).get("oid", "")),
                str(one["url"]),
            )
            for one in json.loads(line)
            if one["isCrossRepository"] is False  # a fork may have a branch of that name: its owner is anybody
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _complaint(done: Captured) -> str:
    if done.timed_out:
        return f"it did not end within {done.seconds:.0f} s"
    return " ".join(done.output.split())[:300] or f"exit code {done.exit_code}"
