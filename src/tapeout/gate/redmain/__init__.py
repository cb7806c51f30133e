"""When the target branch itself fails the gate: recognised, bisected, reported, and reverted if that is configured.

    signature   whether a change and main fail in the same way; pure
    bisection   which commit made main red; pure
    inquiry     judges main, and older commits, in a gate run's process
    revert      the commit that takes a culprit back, made in memory
    response    what the lander does about it: the issue, the revert's change, or the reason to stop

What may go wrong: the process is killed (nothing is written before one transaction that reports all, and whoever comes
next inquires again); main fails everywhere, so no commit is to blame (the queue stops); a check is flaky (nobody is
blamed, and the change is judged again); the revert conflicts or does not pass (the queue stops).
"""

from tapeout.gate.redmain.response import RedMain, Refusal
from tapeout.gate.redmain.revert import revert_of

__all__ = ["RedMain", "Refusal", "revert_of"]
