"""Publishing as a pull request: what landed is proposed to the target branch of a remote, and people merge it there.

All that landed and is not yet in the remote's target branch is one pull request, from one branch of ours, which only
ever goes forward. `propose` is the way there, `gh` the adapter of GitHub's program, `text` what people read, `join`
brings a squash or rebase merge back into the hub.

What may go wrong: there is no `gh`, or no login (a reason; nothing is pushed); the process is killed between push and
pull request (the next one finds the branch pushed and opens it); two do it at once (the forge takes one; the other
finds it); a title says `@everybody` or `closes #12` (it is made harmless); the forge makes other commits of ours
(`join`, or a reason that says what to pull); a person closes it (nothing is opened again until more lands).
"""

from tapeout.gate.pullrequest.propose import Proposed, is_proposed, propose

__all__ = ["Proposed", "is_proposed", "propose"]
