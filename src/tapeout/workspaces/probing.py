"""Whether workspaces can be layers on this machine: tried once, for the kernel, the file system of the state directory
and the sandbox all have a say."""

import json
import os
import shutil

from tapeout.base.ids import new_id
from tapeout.base.paths import StatePaths
from tapeout.base.sandbox import Confined, Overlay, Policy, Sandbox, SandboxFailed, run_confined
from tapeout.workspaces.layers import is_whiteout

_PATIENCE = 10.0

_SCRIPT = "rm seen && echo x >made && mkdir folder"


def layers_work(paths: StatePaths, sandbox: Sandbox) -> bool:
    """Whether a sandbox can put a workspace over a checkout; what it answered is kept for this kernel and sandbox."""
    if not sandbox.overlays:
        return False
    os.makedirs(paths.layers, exist_ok=True)
    note, tried = os.path.join(paths.layers, "probe.json"), [sandbox.name, os.uname().release]
    try:
        with open(note, encoding="utf-8") as file:
            known = json.load(file)
        if known["tried"] == tried:
            return bool(known["works"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    works = _try(paths.layers, sandbox)
    draft = f"{note}.{new_id()}"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump({"tried": tried, "works": works}, file)
    os.replace(draft, note)
    return works


def _try(folder: str, sandbox: Sandbox) -> bool:
    place = os.path.join(folder, f".probe-{new_id()}")
    lower, upper, work, target = (os.path.join(place, name) for name in ("lower", "upper", "work", "target"))
    try:
        for one in (lower, upper, work, target):
            os.makedirs(one)
        with open(os.path.join(lower, "seen"), "w", encoding="ascii"):
            pass
        policy = Policy(writable=(target,), overlays=(Overlay(target, lower, upper, work),))
        done = run_confined(
            Confined(sandbox, policy),
            ["/bin/sh", "-c", _SCRIPT],
            cwd=target,
            env={"PATH": os.defpath},
            timeout=_PATIENCE,
        )
        gone = os.lstat(os.path.join(upper, "seen"))
        return done.exit_code == 0 and is_whiteout(gone) and os.path.exists(os.path.join(upper, "made"))
    except (OSError, SandboxFailed):
        return False
    finally:
        shutil.rmtree(place, ignore_errors=True)
