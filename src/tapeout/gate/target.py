"""What the target branch says: its `tapeout.toml`, read from git and never from a candidate or a work tree."""

import hashlib
from dataclasses import dataclass

import pygit2

from tapeout.base.errors import UsageError
from tapeout.base.git import commit_named, read_blob
from tapeout.config import CONFIG_FILE, Config, parse_config


@dataclass(frozen=True)
class Target:
    """The target branch at one moment."""

    branch: str
    main: str
    config: Config


def commit_of(repository: pygit2.Repository, revision: str) -> str:
    """The commit that a person names.

    Raises:
        NotFound: there is no such commit.
    """
    empty = repository.head_is_unborn
    hint = (
        "commit something first" if empty else "`git log --oneline` lists the newest, `git fetch` gets those of others"
    )
    return commit_named(repository, revision, repository.workdir or repository.path, hint=hint)


def load_config(repository: pygit2.Repository, commit: str) -> Config:
    """The configuration that a commit holds.

    Raises:
        UsageError: it has none, or it is not valid; says where.
    """
    source = f"{CONFIG_FILE} of {commit[:10]}"
    return parse_config(_read(repository, commit).decode(errors="replace"), source)


def config_digest(repository: pygit2.Repository, commit: str) -> str:
    """SHA-256 of the file that `load_config` reads."""
    return hashlib.sha256(_read(repository, commit)).hexdigest()


def _read(repository: pygit2.Repository, commit: str) -> bytes:
    content = read_blob(repository, commit, CONFIG_FILE)
    if content is None:
        raise UsageError(f"commit {commit[:10]} has no {CONFIG_FILE}", hint="run `tapeout init` and commit the file")
    return content
