"""The gate: decides what lands. Nothing reaches the target branch any other way.

A change is merged with main in memory, the merge is checked out clean, the checks of the *target branch's*
`tapeout.toml` run on it, and main moves to exactly that merge by compare-and-swap, with the evidence attached as a git
note before it does.

Where to look: `judge`, `flaky`, `order`, `excerpt`, `verdict`, `integrity` and `landing.objection` are decisions
without I/O; `checks` runs all checks, `examine` one of them, in the checkouts of `rooms`
and within what `confine` allows; `reports` reads what they
found; `cache` is what earlier runs found out, under keys that `toolchain` makes honest; `candidate`, `landing`,
`evidence` and `hub` are git; `lander` is the queue that ties them together, `reconcile` what it does after a crash;
`publish` brings the result to the user.

What may go wrong: everything that a check can do (fail, hang, crash, test nothing, change the files that the next one
sees, leave processes); two queues at once; a kill at any step; main moving meanwhile; a full disk or a missing program,
which is the machine's fault (`GateUnavailable`) and stops the queue without blaming a change.

Not protected, and known: what `integrity` says about itself. Files kept by Git LFS are checked out as pointers,
submodules as empty folders.
"""

from tapeout.gate.confine import sandbox_warning
from tapeout.gate.environment import GateUnavailable
from tapeout.gate.evidence import NOTES_REF, read_evidence
from tapeout.gate.here import run_gate_here, try_checks
from tapeout.gate.hub import Adoption, adopt, hub_branch, prepare_hub
from tapeout.gate.lander import run_queue
from tapeout.gate.publish import Published, Skipped, publish
from tapeout.gate.redness import unproven_checks
from tapeout.gate.target import load_config
from tapeout.gate.verdict import CheckResult, Finding, Verdict, summary

__all__ = [
    "NOTES_REF",
    "Adoption",
    "CheckResult",
    "Finding",
    "GateUnavailable",
    "Published",
    "Skipped",
    "Verdict",
    "adopt",
    "hub_branch",
    "load_config",
    "prepare_hub",
    "publish",
    "read_evidence",
    "run_gate_here",
    "run_queue",
    "sandbox_warning",
    "summary",
    "try_checks",
    "unproven_checks",
]
