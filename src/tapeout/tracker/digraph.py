"""Ways and circles in graphs of issues. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence


def reaches(edges: dict[str, list[str]], start: str, goal: str) -> bool:
    """Whether edges lead from one issue to another."""
    seen, stack = set(), [start]
    while stack:
        node = stack.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            stack += edges.get(node, ())
    return False


def components(edges: dict[str, list[str]]) -> dict[str, int]:
    """Every issue with the number of its strongly connected component: circles lie within one."""
    search = _Search(edges)
    for start in edges:
        search.visit(start)
    return search.component


class _Search:
    """Source: Tarjan, "Depth-first search and linear graph algorithms" (1972), without recursion."""

    def __init__(self, edges: dict[str, list[str]]) -> None:
        self.component: dict[str, int] = {}
        self._edges = edges
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
        self._stack.append((node, iter(self._edges.get(node, ()))))

    def _leave(self, node: str) -> None:
        """All edges of `node` were followed: if it is the root of a component, number that."""
        self._stack.pop()
        if self._stack:
            above = self._stack[-1][0]
            self._low[above] = min(self._low[above], self._low[node])
        while self._low[node] == self._order[node] and node not in self.component:
            self.component[self._path.pop()] = self._order[node]


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
