"""`tapeout gate prove`: a check that has never been seen red may be one that cannot be.

`snippets` are the known defects, `plantings` says where they go (both pure), `proof` runs the checks on them. Which
checks were seen red, in a proof or in daily work, `gate.redness` remembers.
"""

from tapeout.gate.prove.proof import Proof, Trial, prove

__all__ = ["Proof", "Trial", "prove"]
