"""What a fresh session is told of what was tried: per attempt its changes and failures, and what they have in common.
Pure."""

from collections import Counter
from collections.abc import Sequence

from tapeout.floor.memory.model import Patch, Round
from tapeout.floor.memory.patches import similarity
from tapeout.floor.spirals.rounds import SIMILAR
from tapeout.tracker.prime.clipping import quoted

FILES_TOLD = 5
FAILURES_TOLD = 3
COMMON_TOLD = 5
FAILURE_TOKENS = 80
FILE_TOKENS = 20


def round_lines(attempt: int, rounds: Sequence[Round]) -> list[str]:
    """A line for each refused round of an attempt: what it changed and how it failed.

    Args:
        rounds: those of all attempts, oldest first: they tell whether it had been tried before.
    """
    lines = []
    for place, one in enumerate(rounds):
        if one.attempt == attempt and not one.passed:
            lines.append(f"- Prompt {one.number} {_change(one.patch)}{_like(one, rounds[:place])}; {_failed(one)}.")
    return lines


def gist_lines(attempt: int, rounds: Sequence[Round]) -> str:
    """The first changed lines of an attempt's changes, each of its kind once."""
    shown: list[Round] = []
    for one in rounds:
        if one.attempt == attempt and not one.passed and one.patch is not None and not _similar(one, shown):
            shown.append(one)
    return "\n".join(
        "\n".join([f"prompt {one.number}:", *one.patch.gist]) for one in shown[:FILES_TOLD] if one.patch is not None
    )


def in_common(rounds: Sequence[Round]) -> list[str]:
    """Failures that came more than once, the most frequent first."""
    refused = [one for one in rounds if not one.passed]
    counts = Counter(failure for one in refused for failure in one.failures)
    shown = {one.id: one for each in refused for one in each.signatures}
    return [
        f"- {count} times: {quoted(shown[failure].line, FAILURE_TOKENS)}"
        for failure, count in counts.most_common(COMMON_TOLD)
        if count > 1
    ]


def _change(patch: Patch | None) -> str:
    if patch is None:
        return "changed nothing"
    files = ", ".join(quoted(path, FILE_TOKENS) for path in patch.files[:FILES_TOLD])
    more = f" and {len(patch.files) - FILES_TOLD} more" if len(patch.files) > FILES_TOLD else ""
    return f"changed {files}{more} (+{patch.added} -{patch.removed} lines)"


def _like(one: Round, before: Sequence[Round]) -> str:
    alike = _similar(one, before)
    if alike is None or alike.patch is None or one.patch is None:
        return ""
    same = "exactly" if alike.patch.id == one.patch.id else "nearly"
    where = f"prompt {alike.number}" + (f" of attempt {alike.attempt}" if alike.attempt != one.attempt else "")
    return f", {same} as {where} did"


def _similar(one: Round, before: Sequence[Round]) -> Round | None:
    patch = one.patch
    if patch is None:
        return None
    return next((each for each in before if each.patch and similarity(each.patch, patch) >= SIMILAR), None)


def _failed(one: Round) -> str:
    if not one.signatures:
        return f"refused: {quoted(one.reason, FAILURE_TOKENS)}"
    named = "; ".join(quoted(each.line, FAILURE_TOKENS) for each in one.signatures[:FAILURES_TOLD])
    more = f" and {len(one.signatures) - FAILURES_TOLD} more" if len(one.signatures) > FAILURES_TOLD else ""
    count = f"{one.failing} failed: " if one.failing is not None and one.failing > 1 else "failed: "
    return f"{count}{named}{more}"
