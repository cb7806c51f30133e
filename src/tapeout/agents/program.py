"""Where an agent's program is."""

import os
import shutil
from collections.abc import Mapping

from tapeout.agents.errors import AgentNotInstalled
from tapeout.agents.session import AgentSpec


def find_program(spec: AgentSpec, cwd: str, env: Mapping[str, str]) -> str:
    """Absolute path of the agent's program: on the PATH that the agent will have, or relative to its folder.

    Relative folders of PATH do not count: the agent's folder is not to be trusted with what runs.

    Raises:
        AgentNotInstalled: it is not there, or may not be run.
    """
    name = spec.command[0] if spec.command else ""
    if os.sep in name:
        path = os.path.normpath(os.path.join(cwd, os.path.expanduser(name)))
        found = path if os.path.isfile(path) and os.access(path, os.X_OK) else None
    else:
        folders = (env.get("PATH") or os.defpath).split(os.pathsep)
        found = shutil.which(name, path=os.pathsep.join(folder for folder in folders if os.path.isabs(folder)))
    if found is None:
        hint = f"install it: {spec.install}" if spec.install else "install it, or put it on PATH"
        raise AgentNotInstalled(f"the agent {spec.name} is not installed: there is no program {name}", hint=hint)
    return found
