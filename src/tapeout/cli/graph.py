"""`tapeout graph`: who waits for whom and who is a child of whom, as a tree of text or as Mermaid."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, limit
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, one_line
from tapeout.tracker.model import Issue

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from tapeout.cli.commands import Describes
    from tapeout.tracker.reports.graphs import Edge, Graph

LIMIT = 200

MAX_DEPTH = 30
"""Levels of the tree: what is deeper begins again at the margin."""

_TREE_WORDS = {"child": "", "blocks": "waits for ", "conditional": "only after the failure of "}
_ARROWS = {"child": "---|child|", "blocks": "-->", "conditional": "-.->|if it fails|"}


def add_arguments(parser: Describes) -> None:
    """Arguments of `graph`."""
    parser.add_argument("issue", metavar="ID", nargs="?", help="what is below this one; default: all that is connected")
    parser.add_argument("--format", choices=("text", "mermaid"), default="text")
    parser.add_argument("--all", action="store_true", help="closed issues too; below one issue they are always shown")
    parser.add_argument("--limit", type=limit, default=LIMIT, help=f"issues; default {LIMIT}, 0 means all")
    add_json(parser)
    parser.set_defaults(run=_graph)


def _graph(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        graph = tracker.graph(arguments.limit or -1, arguments.issue, closed=arguments.all)
    lines = mermaid(graph) if arguments.format == "mermaid" else tree(graph)
    return Result(_as_data(graph), "\n".join(lines) or "no issue is connected with another")


def _as_data(graph: Graph) -> dict[str, Any]:
    now = time.time()
    return {
        "nodes": [
            {"id": one.id, "title": one.title, "type": one.type, "state": one.state(now), "priority": one.priority}
            for one in graph.nodes.values()
        ],
        "edges": [edge._asdict() for edge in _edges(graph)],
        "left_out": graph.left_out,
    }


def _edges(graph: Graph) -> list[Edge]:
    """The connections of which both ends are shown."""
    return [edge for edges in graph.edges.values() for edge in edges if edge.target in graph.nodes]


def tree(graph: Graph) -> list[str]:
    """Lines of text. Each issue is unfolded once; where it comes again, the tree says so."""
    lines: list[str] = []
    unfolded: set[str] = set()
    roots = list(reversed(graph.roots))
    while roots:
        root = roots.pop()
        stack: list[tuple[str, str, str, str, int]] = [(root, "", "", "", 0)]
        while stack:
            node, before, branch, word, depth = stack.pop()
            edges = [edge for edge in graph.edges[node] if edge.target in graph.nodes]
            note = ""
            if edges and node in unfolded:
                note = "  (see above)"
            elif edges and depth >= MAX_DEPTH:
                note = "  (goes on below)"
                roots.append(node)
            else:
                unfolded.add(node)
                stack += _branches(edges, before + _margin(branch), depth)
            lines.append(f"{before}{branch}{word}{_label(graph.nodes[node])}{note}")
    return [*lines, *_left_out(graph)]


def _branches(edges: list[Edge], before: str, depth: int) -> list[tuple[str, str, str, str, int]]:
    """What comes below an issue, the last first."""
    found = []
    for number, edge in enumerate(reversed(edges)):
        word = "would wait, but for a circle, for " if edge.ignored else _TREE_WORDS[edge.kind]
        found.append((edge.target, before, "└─ " if number == 0 else "├─ ", word, depth + 1))
    return found


def _margin(branch: str) -> str:
    return {"": "", "└─ ": "   ", "├─ ": "│  "}[branch]


def _label(issue: Issue) -> str:
    return one_line(f"{issue.id}  {issue.title}  [{issue.state(time.time())}]")


def _left_out(graph: Graph) -> list[str]:
    if not graph.left_out:
        return []
    return [f"... {graph.left_out} more issues are left out: --limit 0 shows all (now {len(graph.nodes)})"]


def mermaid(graph: Graph) -> list[str]:
    """Lines of a Mermaid flow chart: an arrow leads from an issue to what it waits for."""
    names = {identity: f"n{number}" for number, identity in enumerate(graph.nodes)}
    now = time.time()
    lines = ["graph LR"]
    lines += [
        f'  {names[one.id]}["{_quoted(one.id)}: {_quoted(one.title)} ({_quoted(one.state(now))})"]'
        for one in graph.nodes.values()
    ]
    for edge in _edges(graph):
        arrow = "-.->|ignored: a circle|" if edge.ignored else _ARROWS[edge.kind]
        lines.append(f"  {names[edge.issue]} {arrow} {names[edge.target]}")
    if graph.left_out:
        lines.append(f'  rest["{graph.left_out} more issues are left out"]')
    return lines if graph.nodes else []


def _quoted(text: str) -> str:
    """Text in which nothing is Mermaid's syntax, Markdown or HTML."""
    return "".join(c if c.isalnum() or c in " .,-/" else f"#{ord(c)};" for c in text)
