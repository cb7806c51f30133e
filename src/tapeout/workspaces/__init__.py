"""Copies of the code, ports, environments and terminals: what makes one attempt independent of all others.

A workspace is a real clone of the hub with its own `.git`, in a folder of its own with a private temporary
folder. An agent works in it; we *pull* what it did into the hub, so that it needs no right to write
anywhere else.

    workspace = create(paths, attempt, base)      # branch `work` at the base, checked out pulled =
    pull(workspace)                      # commits, and what is uncommitted, in
    refs/tapeout/attempts/<attempt> remove(paths, attempt)                        # pulls first, then
    deletes

What may go wrong, and what we do about it:
- An agent is an untrusted program, and all that is in its workspace is hostile input. Nothing there is ever
  run or obeyed: not its git configuration, hooks, filters, attributes' drivers, links, named pipes
  (`history.py` reads commits, `snapshot.py` the work tree). It gets an environment by allow-list
  (`environment`).
- It destroys or replaces its repository: the work tree is still saved, as a commit on what was pulled
  before or on the base. It amends, resets or leaves work on another branch: all of it stays reachable in
  the hub (`refs/tapeout/superseded/<attempt>/`).
- We are killed at any moment: a workspace appears and disappears by a rename; `leftovers` finds what is
  there and `remove` finishes, saving first. Copies to the hub are written in an order in which none lacks
  its parts.
- Two attempts want the same port: each leases a block (`lease`), which the kernel takes back when its
  worker dies.
- What an agent prints would drive the terminal of the person who watches: `replay` and `attach` let only
  harmless sequences through.
"""

from tapeout.workspaces.cloning import create
from tapeout.workspaces.environment import ATTEMPT_VARIABLE, Settings, environment
from tapeout.workspaces.home import fill_home
from tapeout.workspaces.layers import exist as layers_exist
from tapeout.workspaces.layers import is_large
from tapeout.workspaces.model import Pulled, Workspace, attempt_ref, superseded_prefix
from tapeout.workspaces.playback import attach, replay
from tapeout.workspaces.ports import PortLease, lease, lease_again, note_ports
from tapeout.workspaces.prepared import Recipe, keep, restore
from tapeout.workspaces.probing import layers_work
from tapeout.workspaces.pulling import pull
from tapeout.workspaces.removal import leftovers, open_workspace, remove
from tapeout.workspaces.terminal import Frame, Recorder, read

__all__ = [
    "ATTEMPT_VARIABLE",
    "Frame",
    "PortLease",
    "Pulled",
    "Recipe",
    "Recorder",
    "Settings",
    "Workspace",
    "attach",
    "attempt_ref",
    "create",
    "environment",
    "fill_home",
    "is_large",
    "keep",
    "layers_exist",
    "layers_work",
    "lease",
    "lease_again",
    "leftovers",
    "note_ports",
    "open_workspace",
    "pull",
    "read",
    "remove",
    "replay",
    "restore",
    "superseded_prefix",
]
