"""Where things live: the user's repository, and Tapeout's state directory outside it.

Paths are plain strings: importing pathlib would cost every tracker command 4 ms.
"""

from __future__ import annotations

import os
import sys

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.lean import NamedTuple

HOME_VARIABLE = "TAPEOUT_HOME"
"""Environment variable that replaces the platform's user state directory."""

REPOSITORY_VARIABLE = "TAPEOUT_REPOSITORY"
"""Environment variable that names the repository; set for agents, whose current folder is a workspace."""

DOOR_VARIABLE = "TAPEOUT_DOOR"
"""Environment variable that names the socket through which the `tapeout` command works in an agent's sandbox."""

FOLDERS_VARIABLE = "TAPEOUT_FOLDERS"
"""Environment variable with the folders, a line each, in which alone a command that an agent has run outside of its
sandbox uses files that its command line names. Set by the door."""


class Repository(NamedTuple):
    """The user's git repository."""

    root: str
    """Work tree, or the git directory itself when the repository is bare."""
    git_dir: str
    """The common git directory: the same for every worktree of one repository."""

    @property
    def name(self) -> str:
        """Name of the folder that holds the repository: the same in every worktree of it."""
        folder, last = os.path.split(self.git_dir.rstrip("/"))
        return os.path.basename(folder if last == ".git" else last).removesuffix(".git") or "repository"


class StatePaths(NamedTuple):
    """The state directory of one repository."""

    root: str

    @property
    def tracker_db(self) -> str:
        """SQLite index and outbox of the tracker."""
        return os.path.join(self.root, "tracker.db")

    @property
    def tracker_git(self) -> str:
        """Bare repository of the tracker's log: apart from the hub, so that no clone of the code carries it."""
        return os.path.join(self.root, "tracker.git")

    @property
    def hub(self) -> str:
        """The floor's bare repository."""
        return os.path.join(self.root, "hub.git")

    @property
    def bells(self) -> str:
        """Named pipes through which writers wake listeners."""
        return os.path.join(self.root, "bells")

    def worker_bells(self, attempt: str) -> str:
        """Named pipe through which the worker of an attempt is woken, and nobody else."""
        return os.path.join(self.root, "bells", f".{attempt}")  # a name with a full stop: not rung with the others

    @property
    def workspaces(self) -> str:
        """One folder an attempt."""
        return os.path.join(self.root, "workspaces")

    @property
    def layers(self) -> str:
        """Checkouts that the workspaces of large repositories share, one folder a commit."""
        return os.path.join(self.root, "layers")

    @property
    def environments(self) -> str:
        """What `[workspace] setup` made, kept for later workspaces."""
        return os.path.join(self.root, "environments")

    @property
    def terminals(self) -> str:
        """Terminal recordings, one asciicast an attempt."""
        return os.path.join(self.root, "terminals")

    @property
    def transcripts(self) -> str:
        """What was said in each session, one JSONL file an attempt."""
        return os.path.join(self.root, "transcripts")

    @property
    def evidence(self) -> str:
        """Logs of gate runs, one folder a run."""
        return os.path.join(self.root, "evidence")

    @property
    def trust(self) -> str:
        """What the hub alone may read and write: the key of its evidence, and whom it believes."""
        return os.path.join(self.root, "trust")

    @property
    def gate(self) -> str:
        """Clean checkouts in which the gate runs."""
        return os.path.join(self.root, "gate")

    @property
    def gate_cache(self) -> str:
        """SQLite file of what earlier gate runs found out."""
        return os.path.join(self.root, "gate-cache.db")

    @property
    def logs(self) -> str:
        """What our own processes printed: the floor, workers, gate runs."""
        return os.path.join(self.root, "logs")

    @property
    def floor_lock(self) -> str:
        """Held by the one running floor; says which process that is."""
        return os.path.join(self.root, "floor.lock")

    @property
    def queue_lock(self) -> str:
        """Held by the one process that gates and lands."""
        return os.path.join(self.root, "queue.lock")

    @property
    def publish_lock(self) -> str:
        """Held by the one process that publishes."""
        return os.path.join(self.root, "publish.lock")

    @property
    def runs_lock(self) -> str:
        """Held by the process that gates and lands and by each of its gate runs."""
        return os.path.join(self.root, "runs.lock")


def tapeout_home() -> str:
    """`$TAPEOUT_HOME`, else the platform's user state directory for tapeout."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return os.path.abspath(chosen)
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/tapeout")
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "tapeout")


def find_repository(start: str | None = None) -> Repository:
    """The git repository that `start` (default: `$TAPEOUT_REPOSITORY`, else the current folder) lies in.

    Raises:
        EnvironmentProblem: there is none.
    """
    origin = os.path.realpath(start or os.environ.get(REPOSITORY_VARIABLE) or os.getcwd())
    folder = origin
    while True:
        dot_git = os.path.join(folder, ".git")
        if os.path.isdir(dot_git):
            return Repository(folder, dot_git)
        if os.path.isfile(dot_git):
            return Repository(folder, _linked_git_dir(dot_git))
        if _is_bare(folder):
            return Repository(folder, folder)
        parent = os.path.dirname(folder)
        if parent == folder:
            raise EnvironmentProblem(
                f"{origin} is not inside a git repository",
                hint="run `git init` there, or go to a folder of your repository",
            )
        folder = parent


def state_paths(repository: Repository) -> StatePaths:
    """The state directory of a repository: a readable name and a digest of the git directory's path."""
    digest = _digest(os.fsencode(repository.git_dir))
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in repository.name)[:40]
    return StatePaths(os.path.join(tapeout_home(), f"{name}-{digest}"))


def _digest(data: bytes) -> str:
    """FNV-1a, 64 bits, in hexadecimal. Nobody attacks it: it tells a user's own folders apart. `hashlib` would load
    OpenSSL, 10 ms of every command."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def _is_bare(folder: str) -> bool:
    return all(os.path.exists(os.path.join(folder, part)) for part in ("HEAD", "objects", "refs"))


def _linked_git_dir(dot_git: str) -> str:
    """The common git directory of a linked worktree or submodule, whose `.git` is a file."""
    with open(dot_git, encoding="utf-8", errors="surrogateescape") as file:
        target = file.read().strip().removeprefix("gitdir:").strip()
    git_dir = os.path.realpath(os.path.join(os.path.dirname(dot_git), target))
    common = os.path.join(git_dir, "commondir")
    if not os.path.exists(common):
        return git_dir
    with open(common, encoding="utf-8", errors="surrogateescape") as file:
        return os.path.realpath(os.path.join(git_dir, file.read().strip()))
