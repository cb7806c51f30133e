"""What a person reads when agents gave up on an issue. Pure: from the tracker's values to Markdown."""

from collections.abc import Mapping, Sequence

from tapeout.tracker.model import Attempt, Change, Issue

EXCERPT_LINES = 12


def give_up_report(
    issue: Issue, reason: str, attempts: Sequence[Attempt], changes: Mapping[str, Sequence[Change]]
) -> str:
    """Why no agent goes on, what each attempt did, and what a person can do now.

    Args:
        attempts: those that count, oldest first.
        changes: attempt id to the changes that it submitted.
    """
    lines = [f"**Given up: needs a person.** {reason}", ""]
    for attempt in attempts:
        lines += _attempt(attempt, changes.get(attempt.id, ()))
    lines += [
        "What you can do:",
        "",
        "- make the issue smaller or clearer (`tapeout issue edit`), then `tapeout issue reopen "
        f"{issue.id}`: agents start again with a full budget;",
        "- finish it by hand from the last commit above, which is kept in the hub;",
        f"- or close it: `tapeout issue close {issue.id} --as wontfix`.",
    ]
    return "\n".join(lines)


def _attempt(attempt: Attempt, changes: Sequence[Change]) -> list[str]:
    rounds = f"{attempt.rounds} prompt{'' if attempt.rounds == 1 else 's'}"
    lines = [f"Attempt {attempt.number} ({attempt.agent}, {rounds}): {attempt.outcome}. {attempt.detail}".rstrip()]
    if attempt.head:
        lines.append(f"Last commit: `{attempt.head}`")
    lines += [
        f"- {change.commit[:12]} was refused: {change.verdict['reason']}"
        for change in changes
        if change.verdict and not change.verdict.get("passed")
    ]
    last = changes[-1].verdict if changes else None
    for finding in (last or {}).get("findings", [])[:1]:
        excerpt = finding.get("excerpt", "").splitlines()[-EXCERPT_LINES:]
        lines += ["", "```", *(line.replace("```", "'''") for line in excerpt), "```"]
    return [*lines, ""]
