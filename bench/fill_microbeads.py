"""Fills a microbeads repository fast, through its own functions: run by the peer's Python, not by ours.

    PYTHON bench/fill_microbeads.py ROOT ISSUES

Its program would take a process an issue. The issues are the ones that `bench.tracker_cli` gives to Tapeout; what it
prints is their ids, as JSON.
"""

import json
import sys
from pathlib import Path

BODY = "A body. " * 20
CLOSED = 7
DEPENDS = {2: 1, 8: 7, 9: 6}


def main() -> None:
    """Write the issues and commit them, as `mb sync` does."""
    from microbeads import issues, repo  # type: ignore[import-not-found]  # only the peer's Python has it

    root, count = Path(sys.argv[1]), int(sys.argv[2])
    worktree = repo.get_worktree_path(root)
    names = [f"be-{number:08x}" for number in range(count)]
    for number, name in enumerate(names):
        issue = issues.create_issue(f"Issue {number}", worktree, description=BODY)
        issue["id"] = name  # its own are 32 bits of a hash, of which two may be the same among 100,000
        tens, digit = divmod(number, 10)
        if digit < CLOSED:
            issue |= {"status": "closed", "closed_at": issue["updated_at"], "closed_reason": ""}
        if digit in DEPENDS:
            issue["dependencies"] = [names[tens * 10 + DEPENDS[digit]]]
        issues.save_issue(worktree, issue)
    repo.sync(root, "Fill")
    sys.stdout.write(json.dumps(names))


if __name__ == "__main__":
    main()
