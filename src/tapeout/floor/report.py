"""What a person reads when agents gave up on an issue. Pure: from the tracker's values to Markdown."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tapeout.floor.memory.model import Round
from tapeout.floor.memory.solutions import Solution
from tapeout.floor.memory.splitting import issue_file, split
from tapeout.floor.policy import HELD, is_spiral
from tapeout.tracker.model import Attempt, Change, Issue

EXCERPT_LINES = 12
COMMON_SHOWN = 5
FILES_SHOWN = 5


def give_up_report(
    issue: Issue,
    reason: str,
    attempts: Sequence[Attempt],
    changes: Mapping[str, Sequence[Change]],
    rounds: Sequence[Round] = (),
    solutions: Sequence[Solution] = (),
) -> str:
    """Why no agent goes on, what each attempt did, what their failures have in common, and what a person can do now.

    Args:
        attempts: those that count, oldest first.
        changes: attempt id to the changes that it submitted.
        rounds: what is remembered of the attempts, oldest first.
        solutions: what landed on other issues that had failed in the same way.
    """
    held = reason.startswith(HELD)
    lines = [f"**{'Waits for a person' if held else 'Given up: needs a person'}.** {reason}", ""]
    for attempt in attempts:
        lines += _attempt(
            attempt, changes.get(attempt.id, ()), [one for one in rounds if one.attempt == attempt.number]
        )
    lines += [*_common(rounds), *_elsewhere(solutions), *_ways_on(issue, attempts, rounds, held=held)]
    return "\n".join(lines)


def _attempt(attempt: Attempt, changes: Sequence[Change], rounds: Sequence[Round]) -> list[str]:
    prompts = f"{attempt.rounds} prompt{'' if attempt.rounds == 1 else 's'}"
    lines = [f"Attempt {attempt.number} ({attempt.agent}, {prompts}): {attempt.outcome}. {attempt.detail}".rstrip()]
    if attempt.head:
        lines.append(f"Last commit: `{attempt.head}`")
    lines += [_refusal(one) for one in rounds if not one.passed] or [
        f"- {change.commit[:12]} was refused: {change.verdict['reason']}"
        for change in changes
        if change.verdict and not change.verdict.get("passed")
    ]
    last = changes[-1].verdict if changes else None
    for finding in (last or {}).get("findings", [])[:1]:
        excerpt = finding.get("excerpt", "").splitlines()[-EXCERPT_LINES:]
        lines += ["", *_fenced(excerpt)]
    return [*lines, ""]


def _refusal(one: Round) -> str:
    if one.patch is None:
        return f"- prompt {one.number}: {one.reason}"
    files = ", ".join(one.patch.files[:FILES_SHOWN]) + (", \u2026" if len(one.patch.files) > FILES_SHOWN else "")
    what = f"{one.commit[:12]} (prompt {one.number}: {files}; +{one.patch.added} -{one.patch.removed})"
    return f"- {what} was refused: {one.reason}"


def _common(rounds: Sequence[Round]) -> list[str]:
    """The evidence that more of the same would not help."""
    refused = [one for one in rounds if not one.passed]
    counts = Counter(failure for one in refused for failure in one.failures)
    shown = {one.id: one.line for each in refused for one in each.signatures}
    again = [(failure, count) for failure, count in counts.most_common(COMMON_SHOWN) if count > 1]
    if not again:
        return []
    lines = [f"- {count} of {len(refused)} rounds: {shown[failure]} (`{failure[:8]}`)" for failure, count in again]
    failing = [str(one.failing) for one in refused if one.failing is not None]
    if len(failing) > 1:
        lines.append(f"- how many failed, round by round: {', '.join(failing[-20:])}")
    return ["The same failures, again and again:", "", *lines, ""]


def _elsewhere(solutions: Sequence[Solution]) -> list[str]:
    if not solutions:
        return []
    lines = [
        f"- {one.issue} ({one.title}) landed as `{one.commit[:12]}` after {one.signature.line}:"
        f" {', '.join(one.files[:FILES_SHOWN])}"
        for one in solutions
    ]
    return ["Other issues failed in the same way, and landed:", "", *lines, ""]


def _ways_on(issue: Issue, attempts: Sequence[Attempt], rounds: Sequence[Round], *, held: bool) -> list[str]:
    agents = sorted({one.agent for one in attempts})
    other = f" Or give it to another agent than {', '.join(agents)} (`--agent`)." if agents else ""
    circles = any(is_spiral(one) for one in attempts)
    clearer = (
        "say in the issue what the tries above have wrong, or where the cause is"
        if circles
        else "make the issue smaller or clearer"
    )
    first = "say in the issue what should be done otherwise" if held else clearer
    lines = [
        "What you can do:",
        "",
        f"- {first} (`tapeout issue edit`), then `tapeout issue reopen {issue.id}`: agents start again with a full"
        f" budget.{other}",
        "- finish it by hand from the last commit above, which is kept in the hub;",
        f"- or close it: `tapeout issue close {issue.id} --as wontfix`.",
    ]
    parts = split(issue, rounds)
    if parts:
        files = [path for one in rounds if one.patch is not None for path in one.patch.files]
        draft = issue_file(issue, parts, list(dict.fromkeys(files)))
        lines += [
            "",
            "Or split it. A proposal, for you to change; save it as a file and file it with `tapeout issue new --file"
            " FILE`:",
            "",
            *_fenced(draft.splitlines()),
        ]
    return lines


def _fenced(lines: Sequence[str]) -> list[str]:
    return ["```", *(line.replace("```", "'''") for line in lines), "```"]
