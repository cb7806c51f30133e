"""When a forge squashes or rebases: the same files under another commit id, on the remote's target branch.

The hub's next commit would not contain that commit, the next pull request would show the same changes again, and the
user's branch, which pulls it, would be said to have diverged. So the hub's main gets one merge commit on top, with
exactly the files that it has: nothing that was not validated comes in, and from then on histories agree.
"""

import pygit2

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.faults import point
from tapeout.base.git import import_objects, move_ref, signature
from tapeout.gate.evidence.trust import Adopted, Trust
from tapeout.gate.pullrequest.gh import PullRequest


def has_same_files(user: pygit2.Repository, request: PullRequest) -> bool:
    """Whether what a pull request was merged as has exactly the files of what was proposed."""
    if request.head not in user or request.merged_as not in user:
        return False
    head, merged = (user[one].peel(pygit2.Commit) for one in (request.head, request.merged_as))
    return bool(head.tree_id == merged.tree_id)


def join(hub: pygit2.Repository, branch: str, main: str, request: PullRequest, *, source: str, tracking: str) -> str:
    """Put a merge commit of `main` and what the pull request was merged as on the hub's branch, with the files of
    `main`; returns it. For a pull request of which `has_same_files` holds.

    Args:
        source: git directory of the user's repository.
        tracking: a ref there that contains what it was merged as.

    Raises:
        EnvironmentProblem: the hub's branch moved meanwhile, or git cannot do it.
    """
    import_objects(hub, source, [f"+{tracking}:refs/tapeout/remote/{branch}"])
    subject = f"Join pull request {request.number}, which was merged as {request.merged_as[:12]}"
    message = f"{subject}\n\nThe files stay as they are.\n"
    author, tree = signature(), hub[main].peel(pygit2.Commit).tree_id
    parents = [pygit2.Oid(hex=one) for one in (main, request.merged_as)]
    joined = str(hub.create_commit(None, author, author, message, tree, parents))
    Trust.of(hub).adopt(Adopted(joined, main, "joined"))
    point("publish.vouched")
    if not move_ref(hub, f"refs/heads/{branch}", joined, main):
        raise EnvironmentProblem(f"{branch} of the hub moved meanwhile")
    point("publish.joined")
    return joined
