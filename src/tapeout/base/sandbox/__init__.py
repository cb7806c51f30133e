"""A sandbox for programs that are not trusted: which files they see and write, whether they reach the network, and how
much they may use.

`Policy` says what is wanted and knows no system. An adapter carries it out: `bubblewrap` (namespaces of the kernel:
files, processes, network), `landlock` (rules of the kernel for files, where there are no user namespaces), or
`nothing`, which only sets limits. `detect` finds the best one by running it once; what it cannot do is in its `lacks`.

Where to look: `policy` and `landlock.granted` are decisions without I/O; `place` looks at the file system for them;
`toolchain` finds the folders without which the programs on PATH do not work; `usage` looks at what a run uses.

What may go wrong: the kernel forbids user namespaces (containers, some distributions) or has no Landlock (old, or not
Linux); the sandbox itself cannot be set up this time (`SandboxFailed`: no program ran).
"""

from tapeout.base.sandbox.confinement import UNCONFINED, Confined, Confinement, SandboxFailed, run_confined
from tapeout.base.sandbox.detection import Absence, available, detect
from tapeout.base.sandbox.launch import Launch, Sandbox, apply_limits
from tapeout.base.sandbox.policy import Limits, Network, Overlay, Policy
from tapeout.base.sandbox.toolchain import toolchain_folders
from tapeout.base.sandbox.usage import Usage, exceeded, measure

__all__ = [
    "UNCONFINED",
    "Absence",
    "Confined",
    "Confinement",
    "Launch",
    "Limits",
    "Network",
    "Overlay",
    "Policy",
    "Sandbox",
    "SandboxFailed",
    "Usage",
    "apply_limits",
    "available",
    "detect",
    "exceeded",
    "measure",
    "run_confined",
    "toolchain_folders",
]
