"""Ways and circles in graphs of issues. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence


def components(starts: Iterable[str], following: Callable[[str], Sequence[str]]) -> dict[str, int]:
    """Every issue that can be reached from one of `starts`, with the number of its strongly connected component:
    circles lie within one."""
    search = _Search(following)
    for start in starts:
        search.visit(start)
    return search.component


class _Search:
    """Source: Tarjan, "Depth-first search and linear graph algorithms" (1972), without recursion."""

    def __init__(self, following: Callable[[str], Sequence[str]]) -> None:
        self.component: dict[str, int] = {}
        self._following = following
        self._order: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._path: list[str] = []
        self._stack: list[tuple[str, Iterator[str]]] = []

    def visit(self, start: str) -> None:
        """Follow everything that can be reached from an issue."""
        if start in self._order:
            return
        self._enter(start)
        while self._stack:
            node, targets = self._stack[-1]
            following = next(targets, None)
            if following is None:
                self._leave(node)
            elif following not in self._order:
                self._enter(following)
            elif following not in self.component:
                self._low[node] = min(self._low[node], self._order[following])

    def _enter(self, node: str) -> None:
        self._order[node] = self._low[node] = len(self._order)
        self._path.append(node)
        self._stack.append((node, iter(self._following(node))))

    def _leave(self, node: str) -> None:
        """All edges of `node` were followed: if it is the root of a component, number that."""
        self._stack.pop()
        if self._stack:
            above = self._stack[-1][0]
            self._low[above] = min(self._low[above], self._low[node])
        while self._low[node] == self._order[node] and node not in self.component:
            self.component[self._path.pop()] = self._order[node]


class Acyclic:
    """Edges that come one by one, of which one that would close a circle is not taken.

    Each issue has a place before those that its edges lead to, so that only an edge that leads back needs a search, and
    only among the places between its ends. Pieces of the graph that no edge connects yet have places of their own: the
    edge that connects them cannot close a circle, and moves the smaller one as a whole. So a ring, however long and in
    whatever order it comes, needs a single search.

    Source, within a piece: Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs" (2006).
    """

    def __init__(self) -> None:
        self._pieces: dict[str, _Piece] = {}
        self._places: dict[str, int] = {}
        self._after: dict[str, list[str]] = {}
        self._before: dict[str, list[str]] = {}

    def add(self, issue: str, target: str) -> bool:
        """Take an edge; False if those that were taken before lead from its target to its issue."""
        first, second = self._piece(issue), self._piece(target)
        if first is not second:
            self._join(first, second)
        elif self._places[issue] >= self._places[target] and not self._make_way(issue, target):
            return False
        self._after[issue].append(target)
        self._before[target].append(issue)
        return True

    def _piece(self, issue: str) -> _Piece:
        piece = self._pieces.get(issue)
        if piece is None:
            piece = self._pieces[issue] = _Piece([issue], 0, 0)
            self._places[issue] = 0
            self._after[issue], self._before[issue] = [], []
        return piece

    def _join(self, first: _Piece, second: _Piece) -> None:
        """Make one piece of two, with all places of the first before those of the second."""
        shift = first.last + 1 - second.first
        if len(first.issues) < len(second.issues):
            second.first = first.first - shift
            self._move(first, second, -shift)
        else:
            first.last = second.last + shift
            self._move(second, first, shift)

    def _move(self, piece: _Piece, into: _Piece, shift: int) -> None:
        for issue in piece.issues:
            self._places[issue] += shift
            self._pieces[issue] = into
        into.issues += piece.issues

    def _make_way(self, issue: str, target: str) -> bool:
        """Give `target`, and what it leads to, places behind `issue` and what leads there; False if it leads there."""
        low, high = self._places[target], self._places[issue]
        behind = self._reached(target, self._after, low, high, until=issue)
        if issue in behind:
            return False
        ahead = self._reached(issue, self._before, low, high, until=target)
        order = [*sorted(ahead, key=self._places.__getitem__), *sorted(behind, key=self._places.__getitem__)]
        self._places.update(zip(order, sorted(self._places[node] for node in order), strict=True))
        return True

    def _reached(self, start: str, edges: dict[str, list[str]], low: int, high: int, until: str) -> set[str]:
        """What can be reached by way of places from `low` to `high`; not all of it if `until` can."""
        found, stack = {start}, [start]
        while stack and until not in found:
            for node in edges[stack.pop()]:
                if node not in found and low <= self._places[node] <= high:
                    found.add(node)
                    stack.append(node)
        return found


class _Piece:
    """Issues that edges connect, whichever way they lead, and their first and last place."""

    def __init__(self, issues: list[str], first: int, last: int) -> None:
        self.issues = issues
        self.first = first
        self.last = last


def shortest_ways(
    start: str, following: Callable[[str], Sequence[str]], is_end: Callable[[str], bool], most: int
) -> list[list[str]]:
    """Shortest ways from an issue to at most `most` ends, nearest first, without the issue itself. Ends on circles."""
    came_from: dict[str, str | None] = {start: None}
    queue = [start]
    ways: list[list[str]] = []
    for node in queue:
        if node != start and is_end(node):
            ways.append(_way_to(node, came_from))
            if len(ways) == most:
                break
        for other in following(node):
            if other not in came_from:
                came_from[other] = node
                queue.append(other)
    return ways


def _way_to(end: str, came_from: dict[str, str | None]) -> list[str]:
    way = []
    node: str | None = end
    while node is not None:
        way.append(node)
        node = came_from[node]
    return way[-2::-1]
