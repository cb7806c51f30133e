"""Make a workspace: a real clone of the hub, its objects hard-linked.

By hand rather than by `git clone`: a third of the time, no hook, no template, no configuration of anybody.
Objects are linked, not borrowed: an agent that destroys its repository and a prune of the hub cannot hurt
each other.
"""

import contextlib
import os
import shutil

import pygit2
from pygit2.enums import CheckoutStrategy

from tapeout.base import faults
from tapeout.base.errors import Conflict, EnvironmentProblem, NotFound
from tapeout.base.git import IDENTITY_EMAIL, open_bare
from tapeout.base.packing import linking
from tapeout.base.paths import StatePaths
from tapeout.workspaces import layers
from tapeout.workspaces.files import delete
from tapeout.workspaces.model import Layer, Workspace, drafts_of, folder_of, index_copy, write_base
from tapeout.workspaces.pulling import WORKER_NAME

BRANCH = "work"
"""The branch that a workspace is on."""

NO_PUSH = "/dev/null/tapeout-takes-your-commits-from-here-itself"
"""Where `git push` goes: nowhere, with a message that tells why."""

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = false
\tfilemode = true
\tlogallrefupdates = true
\tautocrlf = false
[user]
\tname = {name}
\temail = {email}
[commit]
\tgpgsign = false
[tag]
\tgpgsign = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[remote "origin"]
\turl = {hub}
\tpushurl = {no_push}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


_SHARED_TREE = """\
[core]
\tcheckStat = minimal
\ttrustctime = false
"""
"""Through a layer, files have another device and inode than when the index was written: git would read all again."""


def create(paths: StatePaths, attempt: str, base: str, start: str | None = None, *, layered: bool = False) -> Workspace:
    """Make the workspace of an attempt: branch `work` at commit `start` (default: `base`), checked out.

    The hub's branches are there as `origin/...`, its tags as tags; nothing can be pushed. The folder
    appears under its name only when complete; what a killed call left is cleaned by the next one for the
    attempt, or by `remove`.

    Args:
        layered: make it a layer over a checkout that it shares with others: `code` is then empty for everybody but a
            program in whose sandbox `Workspace.layer` shows through.

    Raises:
        Conflict: the attempt has a workspace.
        NotFound: the hub has no such commit.
        EnvironmentProblem: it cannot be made, such as a full disk.
    """
    root = folder_of(paths, attempt)
    if os.path.lexists(root):
        raise Conflict(f"attempt {attempt} has a workspace already: {root}")
    hub = open_bare(paths.hub)
    for commit in (base, start or base):
        if not isinstance(hub.get(commit), pygit2.Commit):
            raise NotFound(f"the hub has no commit {commit}")
    draft = drafts_of(paths, attempt)[0]
    try:
        delete(draft)
        for private in ("tmp", "home"):
            os.makedirs(os.path.join(draft, private), mode=0o700)
        os.makedirs(os.path.join(draft, "code"))
        if layered:
            layer = _publish_layered(paths, hub, draft, root, base, start or base)
        else:
            layer = None
            _clone(hub, os.path.join(draft, "code"), start or base)
            shutil.copy2(os.path.join(draft, "code", ".git", "index"), index_copy(draft))
            write_base(draft, base)
            faults.point("workspace.cloned")
            os.rename(draft, root)
    except (pygit2.GitError, OSError) as error:
        with contextlib.suppress(OSError):
            delete(draft)
        raise EnvironmentProblem(f"cannot make the workspace {root}: {error}") from error
    return Workspace(attempt, root, paths.hub, base, layer)


def _publish_layered(paths: StatePaths, hub: pygit2.Repository, draft: str, root: str, base: str, commit: str) -> Layer:
    """Finish a workspace as a layer, and give it its name while the layer below cannot be deleted."""
    for folder in ("upper", "work"):
        os.makedirs(os.path.join(draft, folder))
    with layers.layer_for(paths, hub, commit) as layer:
        upper = os.path.join(draft, "upper")
        _git_folder(hub, upper, commit, _SHARED_TREE)
        shutil.copyfile(layers.index_of(layer), os.path.join(upper, ".git", "index"))
        if layer.commit != commit:
            repository = pygit2.Repository(upper, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
            layers.write_difference(repository, layer, commit)
            repository.free()
        write_base(draft, base, layer.commit)
        faults.point("workspace.cloned")
        os.rename(draft, root)
    return layer


def _clone(hub: pygit2.Repository, code: str, commit: str) -> None:
    _git_folder(hub, code, commit)
    clone = pygit2.Repository(code, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    clone.checkout("HEAD", strategy=CheckoutStrategy.FORCE)
    clone.free()


def _git_folder(hub: pygit2.Repository, code: str, commit: str, more: str = "") -> None:
    """Make the `.git` of a workspace; `more` goes to its configuration."""
    git = os.path.join(code, ".git")
    for folder in ("info", "hooks", "refs/heads", "refs/tags", "objects/info", "objects/pack"):
        os.makedirs(os.path.join(git, folder))
    with linking(hub.path):
        _link_objects(os.path.join(hub.path, "objects"), os.path.join(git, "objects"))
    faults.point("workspace.linked")
    config = _CONFIG.format(name=WORKER_NAME, email=IDENTITY_EMAIL, hub=_quoted(hub.path.rstrip("/")), no_push=NO_PUSH)
    _write(git, "config", config + more)
    _write(git, "packed-refs", _packed_refs(hub))
    _write(git, f"refs/heads/{BRANCH}", commit + "\n")
    _write(git, "HEAD", f"ref: refs/heads/{BRANCH}\n")


def _link_objects(source: str, target: str) -> None:
    for folder in os.listdir(source):
        if folder == "info" or not os.path.isdir(os.path.join(source, folder)):
            continue
        os.makedirs(os.path.join(target, folder), exist_ok=True)
        with os.scandir(os.path.join(source, folder)) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        # A pack is found by its index: link that last, as git writes it last.
        for name in sorted(names, key=lambda name: name.endswith(".idx")):
            if name.startswith("tmp_") or name.endswith((".lock", ".keep")):
                continue
            _link(os.path.join(source, folder, name), os.path.join(target, folder, name))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        pass  # a temporary file of a writer, gone meanwhile
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _packed_refs(hub: pygit2.Repository) -> str:
    lines = []
    for name in hub.references:
        if name.startswith(("refs/heads/", "refs/tags/")):
            with contextlib.suppress(KeyError, pygit2.GitError):
                target = hub.references[name].resolve().target
                lines.append((name.replace("refs/heads/", "refs/remotes/origin/", 1), str(target)))
    lines.sort(key=lambda line: line[0].encode(errors="surrogateescape"))
    return "# pack-refs with: sorted \n" + "".join(f"{target} {name}\n" for name, target in lines)


def _quoted(value: str) -> str:
    """A value of git's configuration, whatever characters it has."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _write(git: str, name: str, content: str) -> None:
    with open(os.path.join(git, name), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
