"""What a policy means, decided without a system."""

import os

from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.sandbox import Limits, Usage, exceeded
from tapeout.base.sandbox.bubblewrap import setup_problem
from tapeout.base.sandbox.landlock import granted, lacking
from tapeout.base.sandbox.policy import Kind, Step, depth, is_below, ordered
from tapeout.base.sandbox.usage import size

PATHS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["hide", "show", "write", "replace"])
STEPS = st.lists(st.builds(Step, KINDS, PATHS), max_size=12)


def meaning(steps: list[Step], path: str) -> str:
    """What the innermost rule around a path says; of two for one path the one that allows more."""
    rank = ["", "hide", "replace", "show", "write"]
    around = [step for step in steps if is_below(path, step.target)]
    innermost = max((depth(step.target) for step in around), default=-1)
    return max((step.kind for step in around if depth(step.target) == innermost), key=rank.index, default="show")


@given(STEPS, PATHS)
def test_leaving_out_rules_changes_the_meaning_of_no_path(steps: list[Step], path: str) -> None:
    assert meaning(ordered(steps), path) == meaning(steps, path)


@given(STEPS)
def test_outer_folders_come_first_and_each_path_once(steps: list[Step]) -> None:
    targets = [step.target for step in ordered(steps)]
    assert len(set(targets)) == len(targets)
    assert [depth(target) for target in targets] == sorted(depth(target) for target in targets)


TREE = {
    "/": ["home", "tmp", "usr"], "/home": ["ada", "bob"], "/home/ada": [".ssh", "tools", "x"],
    "/home/ada/tools": ["bin", "secret"], "/usr": ["bin"],
}  # fmt: skip


def entries(folder: str) -> list[str]:
    if folder not in TREE:
        raise NotADirectoryError(folder)
    return TREE[folder]


def readable(path: str, allowed: list[str]) -> bool:
    return any(is_below(path, one) for one in allowed)


def test_with_landlock_everything_but_the_hidden_is_named() -> None:
    steps = ordered(
        [Step("hide", "/home/ada"), Step("show", "/home/ada/tools"), Step("hide-file", "/home/ada/tools/secret")]
    )
    allowed = granted(steps, entries)
    assert allowed == ["/home/ada/tools/bin", "/home/bob", "/tmp", "/usr"]
    assert not readable("/home/ada/.ssh/id", allowed)
    assert not readable("/home/ada/tools/secret", allowed)


ALL = [os.path.join(folder, name) for folder, names in TREE.items() for name in names]
TREE_STEPS = st.lists(st.builds(Step, st.sampled_from(["hide", "show", "write"]), st.sampled_from(ALL)), max_size=6)


@given(TREE_STEPS)
def test_landlock_grants_nothing_that_is_hidden(steps: list[Step]) -> None:
    allowed = granted(ordered(steps), entries)
    for path in ALL:
        if meaning(steps, path) == "hide":
            assert not readable(path, allowed), (path, allowed)


def test_with_nothing_hidden_the_root_is_granted() -> None:
    assert granted([], entries) == ["/"]


def test_what_landlock_lacks_depends_on_its_version() -> None:
    assert "files can be truncated" in lacking(2)
    assert "files can be truncated" not in lacking(3)
    assert "processes of the same user can be signalled" in lacking(5)
    assert "processes of the same user can be signalled" not in lacking(6)


def test_only_a_bubblewrap_that_never_started_the_program_is_to_blame() -> None:
    assert setup_problem(1, "bwrap: No permissions to create new namespace\n", {}) == (
        "bwrap: No permissions to create new namespace"
    )
    assert setup_problem(1, "bwrap: it is the program that prints this\n", {"exit-code": 1}) == ""
    assert setup_problem(0, "", {"exit-code": 0}) == ""
    assert setup_problem(-9, "", {"child-pid": 7}) == "", "it was killed"


def test_a_limit_is_passed_by_more_than_it_allows() -> None:
    limits = Limits(memory=2**30, processes=5, output=100)
    assert exceeded(Usage(processes=5, memory=2**30, output=100), limits) == ""
    assert exceeded(Usage(6, 0, 0), limits) == "was killed for starting more than 5 processes"
    assert exceeded(Usage(1, 2**30 + 1, 0), limits) == "was killed for memory: it used more than 1 GB"
    assert exceeded(Usage(1, 0, 101), limits) == "was killed for printing more than 100 B"
    assert exceeded(Usage(10**6, 2**50, 2**50), Limits()) == ""


def test_sizes_are_written_as_people_write_them() -> None:
    assert [size(count) for count in (0, 1023, 1536, 10 * 2**20, 2**31)] == ["0 B", "1023 B", "1.5 kB", "10 MB", "2 GB"]
