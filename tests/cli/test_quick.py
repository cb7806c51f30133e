"""The quick parser means what argparse means, or says nothing."""

import argparse
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import TapeoutError
from tapeout.cli import parser, quick
from tapeout.cli.commands import COMMANDS

VALUES = ("", "-", "--", "x", "two words", "-1", "0", "3", "9", "1e3", "--json", "-f", "-h", "@file", "a=b", "é", "2d")


def leaves(above: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command, and words that it may be called with."""
    groups = [action for action in above._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for name, below in group.choices.items():
            yield from leaves(below, (*path, name))
    if not groups:
        names = [name for action in above._actions for name in action.option_strings]
        choices = [str(choice) for action in above._actions for choice in action.choices or ()]
        yield path, [*names, *(f"{name}={value}" for name in names for value in ("", "3", "x")), *choices]


LEAVES = dict(leaves(parser.build(COMMANDS, load=True)))


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Command lines, right and wrong."""
    path = draw(st.sampled_from(sorted(LEAVES)))
    words = draw(st.lists(st.sampled_from([*LEAVES[path], *VALUES]), max_size=6))
    return [*path[: draw(st.integers(0, len(path)))], *words] if draw(st.integers(0, 9)) == 0 else [*path, *words]


@given(lines())
def test_what_both_accept_means_the_same(words: list[str]) -> None:
    found = quick.parse(words)
    if found is None:
        return
    try:
        expected = parser.parse(words)
    except (SystemExit, TapeoutError) as error:
        pytest.fail(f"argparse does not accept {words}: {error}")
    assert vars(found) == vars(expected)


@pytest.mark.parametrize(
    "line",
    [
        "issue new Title", "issue new Title --body - --label a --label b --priority 0 --type bug --json",
        "issue list --status all --limit 0", "issue show abc --json", "issue edit abc --title=x",
        "issue edit --title x abc", "issue close abc --as wontfix --note why",
        "issue edit abc --priority 1 def", "issue comment abc def text", "issue comment abc --json text",
        "issue close --query status:open --dry-run", "issue dep add abc --kind related def",
        "ready", "ready --limit 5", "claim abc --as me", "claim --next --lease 60 --json", "release abc", "logs abc -f",
    ],
)  # fmt: skip
def test_a_plain_line_needs_no_argparse(line: str) -> None:
    found = quick.parse(line.split())
    assert found is not None
    assert vars(found) == vars(parser.parse(line.split()))


@pytest.mark.parametrize(
    "line",
    ["", "--version", "nothing", "issue", "issue nothing", "issue list --help", "issue list --lim 3", "claim -- x"],
)
def test_what_is_unusual_is_left_to_argparse(line: str) -> None:
    assert quick.parse(line.split()) is None
