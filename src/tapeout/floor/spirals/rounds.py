"""Spirals over rounds and sessions, from what was submitted and how it failed. Pure.

Nothing is a spiral that gets better: a round whose failures are fewer, or others than before, is compared with none of
those before it. Each threshold is the number of rounds that look alike, the newest included.
"""

from collections.abc import Sequence
from itertools import pairwise

from tapeout.floor.memory.model import Round
from tapeout.floor.memory.patches import similarity
from tapeout.floor.spirals.model import Spiral

SIMILAR = 0.4
"""Share of words of changed lines that two changes have in common, from which on they are variations of one fix. Eight
ways to write one line share 0.47 to 1.0; fixes in different places share next to nothing (`bench/spirals.py`)."""

VARIATIONS_TOLD = 2
VARIATIONS_CUT = 3
"""Variations of one fix that fail alike. Repair gains come mostly in the first two rounds (arXiv 2604.10508): who fails
the same way a third time with nearly the same change is not on the way to something else."""

REAPPEARS_TOLD = 2
REAPPEARS_CUT = 3
"""Times that exactly the same change is submitted, with others in between, however it fails: a flaky check may refuse a
good change once, hardly three times."""

STUCK_TOLD = 3
STUCK_CUT = 5
"""Rounds of one session with the same failure and different changes. An agent that looks for a cause tries some things
that do not help: it gets two more than for variations."""

STUCK_ISSUE_CUT = 10
"""The same over all sessions on an issue: two full sessions."""

UNCHANGED_CUT = 3
"""Rounds of one session in a row that leave the tree as it was. After each the prompt says so; the third time is not
going to be heard either."""


def detect(earlier: Sequence[Round], session: Sequence[Round]) -> Spiral | None:
    """Whether the newest round goes in circles.

    Args:
        earlier: rounds of the sessions on the issue before this one.
        session: those of this session, the newest last.
    """
    if not session or session[-1].passed:
        return None
    found = [
        _unchanged(session),
        _swings([*earlier, *session]),
        _varies([*earlier, *session]),
        _reappears([*earlier, *session]),
        _is_stuck(earlier, session),
    ]
    seen = [one for one in found if one is not None]
    return next((one for one in seen if one.is_cut), seen[0] if seen else None)


def no_better(before: Round, now: Round) -> bool:
    """Whether a round fails at least in all that an earlier one failed in, and no less often."""
    if not before.failures or not before.failures <= now.failures:
        return False
    return before.failing is None or now.failing is None or now.failing >= before.failing


def _varies(rounds: Sequence[Round]) -> Spiral | None:
    now = rounds[-1]
    alike = _variations_of(now, [one for one in rounds[:-1] if no_better(one, now)])
    if len(alike) + 1 < VARIATIONS_TOLD:
        return None
    closest = max(similarity(one.patch, now.patch) for one in alike if one.patch and now.patch)
    times = f"{len(alike) + 1} variations of one fix ({', '.join(now.patch.files[:3]) if now.patch else ''}"
    said = f"{times}; the last has {closest:.0%} of its words from one before) failed alike: {_failure(now)}"
    return Spiral("variations", said, is_cut=len(alike) + 1 >= VARIATIONS_CUT)


def _variations_of(now: Round, others: Sequence[Round]) -> list[Round]:
    """Those that are similar to it, or to one that is: a fix may drift from one variation to the next."""
    found, left = [now], list(others)
    for one in found:
        near = [other for other in left if _are_similar(one, other)]
        found += near
        left = [other for other in left if other not in near]
    return found[1:]


def _are_similar(one: Round, other: Round) -> bool:
    return one.patch is not None and other.patch is not None and similarity(one.patch, other.patch) >= SIMILAR


def _reappears(rounds: Sequence[Round]) -> Spiral | None:
    now = rounds[-1]
    same = [number for number, one in enumerate(rounds) if now.patch and one.patch and one.patch.id == now.patch.id]
    # Handed in again at once, it is no change at all.
    times = sum(1 for number, following in pairwise(same) if following > number + 1) + 1
    if times < REAPPEARS_TOLD or now.patch is None:
        return None
    first = rounds[same[0]]
    said = (
        f"the change {now.patch.id[:12]} was submitted {times} times, with others in between; it was refused first in"
        f" attempt {first.attempt}, prompt {first.number}: {first.reason}"
    )
    return Spiral("reappears", said, is_cut=times >= REAPPEARS_CUT)


def _swings(rounds: Sequence[Round]) -> Spiral | None:
    """Two states in turn: A, B, A, B."""
    if len(rounds) < 4:
        return None
    first, second, third, fourth = (one.patch.id if one.patch else one.tree for one in rounds[-4:])
    if first != third or second != fourth or first == second:
        return None
    return Spiral(
        "swing", f"the work swings between two states, {first[:12]} and {second[:12]}: both were refused", True
    )


def _is_stuck(earlier: Sequence[Round], session: Sequence[Round]) -> Spiral | None:
    now = session[-1]
    if now.patch is None:
        return None
    here = 1 + sum(no_better(one, now) for one in session[:-1])
    ever = here + sum(no_better(one, now) for one in earlier)
    if here < STUCK_TOLD:
        return None
    count = f"{now.failing} still fail; " if now.failing is not None else ""
    said = f"{here} rounds of this session, {ever} of the issue, failed alike: {count}{_failure(now)}"
    return Spiral("stuck", said, is_cut=here >= STUCK_CUT or ever >= STUCK_ISSUE_CUT)


def _unchanged(session: Sequence[Round]) -> Spiral | None:
    now = session[-1]
    times = 0
    for one in reversed(session):
        if one.tree != now.tree:
            break
        times += 1
    if now.patch is not None:
        times -= 1  # the round that made the tree did something
    if times < UNCHANGED_CUT:
        return None
    before = session[-times - 1] if len(session) > times else session[-times]
    spent = (now.tokens or 0) - (before.tokens or 0)
    tokens = f" ({spent:,} tokens)" if spent > 0 else ""
    return Spiral("no change", f"{times} prompts in a row{tokens} changed nothing in the work tree", is_cut=True)


def _failure(now: Round) -> str:
    shown = [one.line for one in now.signatures[:1]]
    more = f" and {len(now.signatures) - 1} more" if len(now.signatures) > 1 else ""
    return "".join(shown)[:200] + more
