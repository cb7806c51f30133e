"""The prompt of an attempt, compiled from what the tracker knows, each part within its own budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapeout.config import CheckConfig
from tapeout.tracker.model import Attempt, Change, Comment, Issue

CHARACTERS_A_TOKEN = 4
"""Rough length of a token in English text and code; good enough to keep parts bounded."""

BODY_TOKENS = 12_000
ACCEPTANCE_TOKENS = 2_000
COMMENTS_TOKENS = 2_000
HISTORY_TOKENS = 3_000
FINDING_TOKENS = 1_500


@dataclass(frozen=True)
class Assignment:
    """All that goes into the first prompt of a session."""

    issue: Issue
    number: int
    """Which attempt on the issue this is, from 1."""
    branch: str
    checks: Sequence[CheckConfig]
    comments: Sequence[Comment] = ()
    earlier: Sequence[Attempt] = ()
    """Attempts before this one."""
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    """Attempt id to the changes that it submitted."""
    resumed: Attempt | None = None
    """The attempt whose saved work is in the workspace."""


def first_prompt(work: Assignment) -> str:
    """What a fresh session is told."""
    issue = work.issue
    parts = [
        f"# {issue.title}\n\nIssue {issue.id} ({issue.type}), attempt {work.number}.",
        clip(issue.body, BODY_TOKENS),
        _section("Acceptance criteria", clip(issue.acceptance, ACCEPTANCE_TOKENS)),
        _section("Expected to touch", "\n".join(f"- {glob}" for glob in issue.scope)),
        _section("Comments", clip_old("\n\n".join(f"{c.actor}: {c.text}" for c in work.comments), COMMENTS_TOKENS)),
        _section("What was tried before", clip_old(_history(work), HISTORY_TOKENS)),
        _section("How to work", _rules(work)),
        _section("The checks that decide", "\n".join(f"- {c.name}: `{_command(c)}`" for c in work.checks)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def no_change_prompt() -> str:
    """What a session is told that ended its turn without any change."""
    return (
        "Your turn ended, but the work tree is the same as before: there is no commit and no changed file, so there is"
        " nothing to check. Do the work in the files of the current folder. If you believe that nothing needs to be"
        " done, say precisely why.\n"
    )


def refinement_prompt(verdict: Mapping[str, Any], round_number: int, rounds: int) -> str:
    """What a session is told after a failed verdict.

    Args:
        round_number: which refinement this is, from 1.
        rounds: how many there can be.
    """
    lines = [
        f"The gate checked your change and refused it: {verdict['reason']}.",
        f"This is refinement {round_number} of {rounds}. Mend the cause, not the symptom: checks and tests stay as they"
        " are. The findings:",
    ]
    lines += [_finding(finding) for finding in verdict.get("findings", [])]
    return "\n\n".join(lines) + "\n"


def clip(text: str, tokens: int) -> str:
    """`text` within a budget, cut between lines, or inside the first one if that is too long; says how much was left
    out."""
    text = text.strip()
    limit = tokens * CHARACTERS_A_TOKEN
    if len(text) <= limit:
        return text
    kept: list[str] = []
    used = 0
    lines = text.splitlines()
    if len(lines[0]) >= limit:
        left = f"[{len(lines[0]) - limit} more characters of this line"
        return f"{lines[0][:limit]}\n{left}{f' and {len(lines) - 1} more lines' if lines[1:] else ''} left out]"
    for line in lines:
        used += len(line) + 1
        if used > limit:
            break
        kept.append(line)
    return "\n".join([*kept, f"[{len(lines) - len(kept)} more lines left out]"])


def clip_old(text: str, tokens: int) -> str:
    """`text` within a budget, like `clip`, but it is the first lines that go: of a history the newest part counts."""
    lines = text.strip().splitlines()
    clipped = clip("\n".join(reversed(lines)), tokens).splitlines()
    return "\n".join(reversed(clipped))


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _command(check: CheckConfig) -> str:
    return check.command


def _rules(work: Assignment) -> str:
    lines = [
        "- You work in your own clone of the repository, in the current folder. Nobody else sees it; nothing outside"
        " it is yours to change.",
        "- Commit your work with git when it is done. What you leave uncommitted is committed for you; what git"
        " ignores is lost.",
        f"- When your turn ends, your commits are merged with {work.branch} and the checks below run on the result in a"
        " clean checkout. They decide, not what you say. A change that removes or skips existing tests is refused.",
        f"- `origin/{work.branch}` is where your work started from; pushing is not possible and not needed.",
    ]
    if work.resumed is not None:
        lines.append(
            f"- An earlier attempt was cut off ({work.resumed.detail}). Its work is in the current folder, already"
            " committed: look at it first and go on from there."
        )
    return "\n".join(lines)


def _history(work: Assignment) -> str:
    return "\n\n".join(_attempt(attempt, work.changes.get(attempt.id, ())) for attempt in work.earlier)


def _attempt(attempt: Attempt, changes: Sequence[Change]) -> str:
    lines = [f"Attempt {attempt.number} by {attempt.agent}: {attempt.outcome}. {attempt.detail}".rstrip()]
    if attempt.head:
        lines.append(f"Its last commit is {attempt.head[:12]} (`git show {attempt.head[:12]}`).")
    for number, change in enumerate(changes, start=1):
        if change.verdict and not change.verdict.get("passed"):
            lines.append(f"Change {number} was refused: {change.verdict['reason']}")
    if changes and changes[-1].verdict:
        lines += [_finding(finding) for finding in changes[-1].verdict.get("findings", [])[:2]]
    return "\n".join(lines)


def _finding(finding: Mapping[str, Any]) -> str:
    head = f"### {finding['check']}: {finding['reason']}"
    excerpt = clip(finding.get("excerpt", ""), FINDING_TOKENS)
    return f"{head}\n\n{_fenced(excerpt)}" if excerpt else head


def _fenced(text: str) -> str:
    """A code block whose fence the text cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
