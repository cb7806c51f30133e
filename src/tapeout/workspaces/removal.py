"""Find workspaces again, and remove them without losing what is in them."""

import contextlib
import os

from tapeout.base import faults
from tapeout.base.errors import EnvironmentProblem, NotFound
from tapeout.base.git import open_bare, resolve
from tapeout.base.paths import StatePaths
from tapeout.workspaces.files import delete
from tapeout.workspaces.model import Workspace, attempt_ref, drafts_of, folder_of, layer_of, read_base, read_layer
from tapeout.workspaces.pulling import pull


def open_workspace(paths: StatePaths, attempt: str) -> Workspace:
    """The workspace of an attempt whose worker is gone.

    Raises:
        NotFound: it has none, or none that was ever complete.
    """
    root = folder_of(paths, attempt)
    if not os.path.isdir(root) or os.path.islink(root):
        raise NotFound(f"attempt {attempt} has no workspace")
    hub = open_bare(paths.hub)
    for base in (read_base(root), resolve(hub, attempt_ref(attempt)), resolve(hub, "HEAD")):
        if base is not None and base in hub:
            layer = read_layer(root)
            return Workspace(attempt, root, paths.hub, base, layer_of(paths, layer) if layer else None)
    raise NotFound(f"nothing is known of the base of the workspace of {attempt}")


def remove(paths: StatePaths, attempt: str, *, save: bool = True) -> None:
    """Delete the workspace of an attempt, and what crashes left of it; what is in it is pulled first.

    With `save` false it is a workspace whose work nobody wants: it is not pulled.

    Nothing happens if there is none. A removal that was killed is finished by the next.

    Raises:
        EnvironmentProblem: the work cannot be saved, and so was not deleted; or the folder cannot be deleted.
    """
    root = folder_of(paths, attempt)
    if save and os.path.lexists(root):
        with contextlib.suppress(NotFound):  # nothing in it that could be saved
            pull(open_workspace(paths, attempt))
        faults.point("remove.saved")
    making, pulling, removing = drafts_of(paths, attempt)
    try:
        delete(removing)
        with contextlib.suppress(FileNotFoundError):
            os.rename(root, removing)
        faults.point("remove.renamed")
        for folder in (removing, making, pulling):
            delete(folder)
    except OSError as error:
        raise EnvironmentProblem(f"cannot delete {root}: {error}") from error


def leftovers(paths: StatePaths) -> list[str]:
    """Attempts that still have a workspace, or parts of one, sorted."""
    try:
        names = os.listdir(paths.workspaces)
    except FileNotFoundError:
        return []
    found = set()
    for name in names:
        if not name.startswith("."):
            found.add(name)
        else:
            _, dash, attempt = name.partition("-")
            if dash and attempt and f"{paths.workspaces}/{name}" in drafts_of(paths, attempt):
                found.add(attempt)
    return sorted(found)
