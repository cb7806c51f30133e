"""Many operations at once give what one by one would have given."""

import sqlite3
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.base.paths import StatePaths
from tapeout.tracker import Draft, Tracker, bulk, fold, log, merge, rebuild, schema, waiting
from tapeout.tracker.operations import Operation
from tests.tracker import tools

ISSUES = ("aaa", "bbb", "ccc", "ddd")
KINDS = ("blocks", "conditional", "related")
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"title": st.text(max_size=3)},
        optional={
            "labels": st.lists(st.sampled_from("xyz"), max_size=2),
            "dependencies": st.lists(st.tuples(st.sampled_from(ISSUES), st.sampled_from(KINDS)).map(list), max_size=2),
            "at": st.floats(0, 4e9),
        },
    ).map(lambda data: ("created", data)),
    st.sampled_from(["done", "failed", "landed"]).map(lambda word: ("closed", {"resolution": word, "at": 5.5})),
    st.just(("reopened", {})),
    st.tuples(st.sampled_from(ISSUES), st.sampled_from(KINDS)).map(
        lambda edge: ("dependency-added", {"target": edge[0], "kind": edge[1]})
    ),
    st.tuples(st.sampled_from(ISSUES), st.sampled_from(KINDS)).map(
        lambda edge: ("dependency-removed", {"target": edge[0], "kind": edge[1]})
    ),
    st.integers(0, 4).map(lambda number: ("fields-set", {"priority": number})),
    st.text(max_size=3).map(lambda text: ("commented", {"text": text})),
)


@settings(max_examples=60, deadline=None)
@given(
    first=st.lists(st.tuples(st.sampled_from(ISSUES), ENTRIES), max_size=6),
    entries=st.lists(st.tuples(st.sampled_from(ISSUES), ENTRIES), max_size=25),
    chunk=st.integers(1, 30),
    settle_all_from=st.sampled_from([1, 500]),
)
def test_a_bulk_is_what_the_fold_of_its_log_gives(
    first: list[tuple[str, tuple[str, dict[str, Any]]]],
    entries: list[tuple[str, tuple[str, dict[str, Any]]]],
    chunk: int,
    settle_all_from: int,
) -> None:
    filed = [(issue, ("created", {"title": "filed"})) for issue in ISSUES]  # nobody writes to what is not there
    first = [*filed, *first]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "CHUNK", chunk)
        patch.setattr(bulk, "SETTLE_ALL_FROM", settle_all_from)
        paths = StatePaths(folder)
        with Tracker.open(paths, "ada") as tracker:
            for part in (first, entries):
                with tracker._writing():
                    assert tracker._append_many((issue, *entry) for issue, entry in part) == len(part)
            acts = {row[-1] for row in tools.contents(paths)["operations"]}
            assert len(acts) == bool(first) + bool(entries)  # one transaction, one act
            tracker.flush()
            before = tools.contents(paths)
            assert len(tools.logged(paths)) == len(before["operations"]) == len(first) + len(entries)
            rebuild.rebuild(paths)
            assert tools.contents(paths) == before
            tracker.create(Draft("it goes on"))


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(ISSUES),
        ENTRIES
        | st.sampled_from(
            [("created", {"title": 5}), ("fields-set", {"priority": "x"}), ("closed", {"resolution": [1]}),
             ("dependency-added", {}), ("commented", {"text": None}), ("unknown", {"x": 1}),
             ("labels-changed", {"add": [["x"]]}), ("created", {"title": "x", "labels": ["a", {}]}),
             ("created", {"title": "x", "dependencies": [1]})]
        ),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(entries=OPERATIONS, chunk=st.integers(1, 40))
def test_a_log_that_holds_nonsense_is_folded_as_one_by_one(
    entries: list[tuple[str, tuple[str, dict[str, Any]]]], chunk: int
) -> None:
    operations = [
        Operation(f"r.{number}", number, "ada", issue, kind, data, number)
        for number, (issue, (kind, data)) in enumerate(entries, 1)
    ]
    at_once, one_by_one = schema.in_memory(), schema.in_memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "CHUNK", chunk)
        merge.fill(at_once, operations, 1e9)
    log.store(one_by_one, operations)
    for operation in operations:
        fold.apply_logged(one_by_one, operation)
    waiting.settle_all(one_by_one)
    assert _rows(at_once) == _rows(one_by_one)


def _rows(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    rows = {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tools.TABLES}
    connection.close()
    return rows


def test_a_bulk_tells_first_what_was_heard_of_others(tracker: Tracker) -> None:
    tools.receive(tracker, [Operation("other.7", 5, "bob", "zzz", "created", {"title": "x"}, 7)], 1e9)
    with tracker._writing():
        tracker._append_many([("aaa", "created", {"title": "one"}), ("bbb", "created", {"title": "two"})])
    told = [(event.kind, event.data) for event in tracker.events()][1:]
    assert told[0] == ("heard", {"other": 7})
    assert [kind for kind, _ in told] == ["heard", "created", "created"]
    with tracker._writing():
        tracker._append_many([("ccc", "created", {"title": "three"})])
    assert [event.kind for event in tracker.events()][-1] == "created"
    assert len(tracker.events()) == 5
