"""Which combinations to gate next, which runs to end, what to land and whom to refuse. Pure.

There is one line: changes in order, stacked on main. Runs judge its beginnings. One that passes lands, all of it in
one move; what stood on it stays valid, because main is then a beginning of it. One that fails makes the line *failing*:
runs of longer beginnings are ended, and the culprit is sought by runs of shorter ones until it stands alone on main.
Slots that this leaves free are used to speculate on who the culprit is: the failing line without one of its changes,
and what comes next.

Always some run of the line itself goes on, and its result shortens the line: so every change is decided.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from tapeout.gate.queue.batching import cuts, first_culprit
from tapeout.gate.queue.model import Clash, Combination, Plan, Situation
from tapeout.gate.queue.order import in_order


def plan(now: Situation) -> Plan:
    """Decide what to do now."""
    return _Planner(now).plan()


def after_landing(combinations: Iterable[Combination], landed: Combination) -> dict[Combination, Combination | None]:
    """What combinations are called once main contains `landed`; None for those that main has all of, or that were built
    on what main no longer is."""
    found: dict[Combination, Combination | None] = {}
    for combination in combinations:
        stays = combination[: len(landed)] == landed and len(combination) > len(landed)
        found[combination] = combination[len(landed) :] if stays else None
    return found


def _begins(first: Combination, second: Combination) -> bool:
    """Whether the second combination is the first one or stands on it."""
    return second[: len(first)] == first


class _Planner:
    def __init__(self, now: Situation) -> None:
        self._now = now
        self._order = in_order(now.waiting, now.aging)
        self._waiting = {change.id: change for change in self._order}
        self._running = self._alive(now.running)
        self._failed = self._alive(now.failed)
        self._clashes = _by_change(now.clashes)
        # The shortest is the nearest to a culprit.
        self._failing = min(self._failed, key=len, default=None)

    def _alive(self, combinations: Collection[Combination]) -> list[Combination]:
        """Those of which every change still waits; the others are about a main that will never be."""
        return [one for one in combinations if one and all(change in self._waiting for change in one)]

    def plan(self) -> Plan:
        failing = self._failing
        if failing is not None and len(failing) == 1:
            return Plan(refuse=failing[0])
        landing = self._landing()
        if landing is not None:
            return Plan(land=landing)
        kept = [run for run in self._running if not self._is_decided(run)]
        kept = self._make_room(kept)
        start = self._starts(kept)
        return Plan(cancel=tuple(run for run in self._now.running if run not in kept), start=tuple(start))

    def _landing(self) -> Combination | None:
        """The longest that passed; first one that narrows down the culprit. A guess about the culprit waits while a run
        of the line goes on that its landing would make worthless."""
        passed = self._alive(self._now.passed)
        failing = self._failing
        if failing is None:
            return max(passed, key=len, default=None)
        of_line = [one for one in passed if _begins(one, failing)]
        seeking = [run for run in self._running if _begins(run, failing) and run != failing]
        harmless = [one for one in passed if all(_begins(one, run) or _begins(run, one) for run in seeking)]
        return max(of_line or harmless, key=len, default=None)

    def _is_decided(self, run: Combination) -> bool:
        """Whether the run holds all of a combination that is known to fail."""
        members = set(run)
        return any(members.issuperset(failed) for failed in self._failed)

    def _make_room(self, kept: list[Combination]) -> list[Combination]:
        """Give up a guess if nothing else would seek the culprit, and the longest runs if there are too many."""
        failing, slots = self._failing, max(self._now.slots, 0)
        if failing is not None:
            kept = sorted(kept, key=lambda run: not _begins(run, failing))
            room = slots if kept and _begins(kept[0], failing) else slots - 1
            return kept[: max(room, 0)]
        return sorted(kept, key=lambda one: len(one))[:slots] if len(kept) > slots else kept

    def _starts(self, kept: Sequence[Combination]) -> list[Combination]:
        free = self._now.slots - len(kept)
        if free <= 0:
            return []
        failing = self._failing
        line = failing if failing is not None else self._line(max(kept, key=len, default=()))
        boundaries = {len(run) for run in kept if _begins(run, line)}
        found = first_culprit([self._now.pass_rate] * len(line))
        places = cuts(found, boundaries, free, failed=failing is not None)
        start = [line[:place] for place in places]
        if failing is not None and len(start) < free:
            start += self._guesses(failing, free - len(start), {*kept, *start})
        return start

    def _line(self, begun: Combination, without: str = "") -> Combination:
        """The combination `begun`, and what can be stacked on it, in order; one change can be left out."""
        line = list(begun)
        if line and self._waiting[line[-1]].last:
            return begun
        inside, shut_out = {*line, without}, set().union(*(self._clashes.get(change, ()) for change in line))
        for change in self._order:
            if len(line) >= self._now.most:
                break
            if change.id in inside:
                continue
            # Of two that clash the later one waits, also while the earlier one waits itself: nobody jumps the queue.
            waits = change.id in shut_out
            shut_out |= self._clashes.get(change.id, set())
            if waits:
                continue
            line.append(change.id)
            inside.add(change.id)
            if change.last:
                break
        return tuple(line)

    def _guesses(self, failing: Combination, count: int, known: Collection[Combination]) -> list[Combination]:
        """Up to `count` lines without one change of the failing one: what main will get if that is the culprit."""
        guessed: list[Combination] = []
        found = first_culprit([self._now.pass_rate] * len(failing))
        by_guilt = sorted(range(len(failing)), key=lambda place: found[place] - found[place + 1])
        each = -(-count // len(failing))
        for place in by_guilt:
            rest = failing[:place] + failing[place + 1 :]
            line = self._line(rest, without=failing[place])
            more = first_culprit([self._now.pass_rate] * (len(line) - len(rest)))
            ends = cuts(more, (), each, failed=False) or [0]
            guessed += [line[: len(rest) + end] for end in ends]
        fresh = (one for one in dict.fromkeys(guessed) if one not in known and not self._is_decided(one))
        return [one for one, _ in zip(fresh, range(count), strict=False)]


def _by_change(clashes: Iterable[Clash]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pair in clashes:
        for change in pair:
            found.setdefault(change, set()).update(pair - {change})
    return found
