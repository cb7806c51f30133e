"""Eight small, real improvements to boltons, each with the script that a model plays to make it.

Three change `strutils.py` and two `mathutils.py`, in different places, so that landing them needs merges. One,
`removesuffix`, is wrong at first and right after the gate has said so. They are independent: any order works.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.model_script import render_script

_PATCHES = Path(__file__).parent / "patches"

Step = Mapping[str, Any]


class IssueDraft(NamedTuple):
    """An issue as a person would write it, and how it gets done."""

    title: str
    type: str
    priority: int
    module: str
    """The module that changes, and with it its tests."""
    body: str
    acceptance: tuple[str, ...]
    patches: tuple[str, ...]
    """Names of the patches, one a turn."""
    careful: bool = True
    """Whether the tests of the module are run before each commit."""

    @property
    def scope(self) -> tuple[str, ...]:
        """Paths that the work touches."""
        return f"boltons/{self.module}.py", f"tests/test_{self.module}.py"

    @property
    def turns(self) -> list[list[Step]]:
        """The script: what the model does at each prompt."""
        return [self._turn(patch, number) for number, patch in enumerate(self.patches, start=1)]

    def _turn(self, patch: str, number: int) -> list[Step]:
        text = (_PATCHES / f"{patch}.patch").read_text(encoding="utf-8")
        tests = shlex.join([sys.executable, "-m", "pytest", "-q", "-x", f"tests/test_{self.module}.py"])
        message = self.title if number == 1 else f"{self.title}: what the gate found"
        steps: list[Step] = [
            {"say": f"I will work on this: {self.title}."},
            {"usage": {"input": 12_000 * number, "output": 400}},
            {"run": f"git apply - <<'PATCH'\n{text}PATCH"},
        ]
        if self.careful or number > 1:
            steps.append({"run": tests})
        steps.append({"run": f"git add --all && git commit --quiet --message {shlex.quote(message)}"})
        return [*steps, {"say": "It is committed."}]


def issue_file(drafts: Iterable[IssueDraft], opening: Sequence[Step] = ()) -> str:
    """One Markdown text with all issues, front matter first, for `tapeout issue new --file`.

    The model takes the steps of `opening` before each issue's own.
    """
    return "\n".join(_markdown(draft, opening) for draft in drafts)


def meeting(folder: Path, count: int) -> Step:
    """A step that ends only when `count` agents have come to it: proves that so many work at once."""
    place = shlex.quote(str(folder))
    return {
        "run": f"""touch {place}/$TAPEOUT_ISSUE
until [ "$(ls {place} | wc -l)" -ge {count} ]; do sleep 0.1; done"""
    }


def _markdown(draft: IssueDraft, opening: Sequence[Step]) -> str:
    matter = {
        "title": draft.title,
        "type": draft.type,
        "priority": draft.priority,
        "labels": [draft.module],
        "scope": draft.scope,
        "acceptance": draft.acceptance,
    }
    first, *later = draft.turns
    # JSON values are YAML values.
    lines = [f"{key}: {json.dumps(value)}" for key, value in matter.items()]
    return "\n".join(["---", *lines, "---", draft.body, "", render_script([*opening, *first], *later), ""])


ISSUES: Sequence[IssueDraft] = (
    IssueDraft(
        "Add strutils.removesuffix",
        "feature",
        1,
        "strutils",
        "`strutils.removeprefix` backports `str.removeprefix` to Python 3.7 and 3.8. Its sibling is missing.",
        (
            "`removesuffix(text, suffix)` gives what `str.removesuffix` gives, for an empty suffix too",
            "it is in `__all__` and has a doctest",
        ),
        ("removesuffix-1", "removesuffix-2"),
        careful=False,
    ),
    IssueDraft(
        "The plural of millennium is misspelt",
        "bug",
        1,
        "strutils",
        "`pluralize('millennium')` gives 'milennia', and `singularize('millennia')` gives it back unchanged.",
        ("`pluralize` and `singularize` agree on millennium and millennia",),
        ("millennia",),
    ),
    IssueDraft(
        "The documentation of ordinalize speaks of cardinals",
        "chore",
        3,
        "strutils",
        "`ordinalize` makes 1st, 2nd, 3rd: ordinals. Its docstring says cardinal, twice. It has no test either.",
        ("the docstring says ordinal", "a test covers the teens, also above 100"),
        ("ordinalize",),
    ),
    IssueDraft(
        "Bits: exclusive or, and inversion",
        "feature",
        2,
        "mathutils",
        "`Bits` has `|`, `&`, `<<` and `>>`, but neither `^` nor `~`.",
        (
            "`^` is as long as the longer operand, as `|` is",
            "`~` keeps the length",
            "`^` with anything but Bits is a TypeError",
        ),
        ("bits-xor",),
    ),
    IssueDraft(
        "Add mathutils.nearest",
        "feature",
        2,
        "mathutils",
        "`ceil` and `floor` choose from a list of options; there is nothing that chooses the closest.",
        (
            "of two equally close options the lower one",
            "no options: ValueError",
            "options may be any iterable",
        ),
        ("nearest",),
    ),
    IssueDraft(
        "chunk_ranges silently gives nothing when chunks overlap too much",
        "bug",
        0,
        "iterutils",
        "`list(chunk_ranges(20, 5, overlap_size=6))` is `[]`, and `overlap_size=5` speaks of `range() arg 3`.",
        ("a ValueError that names overlap_size, aligned or not", "an overlap of chunk_size - 1 works as before"),
        ("chunk-ranges",),
    ),
    IssueDraft(
        "FrozenDict | dict should be a FrozenDict",
        "feature",
        2,
        "dictutils",
        "`frozendict | other` loses its type: the result is a plain, mutable, unhashable dict.",
        ("both `|` and its reflected form give a FrozenDict", "`|` with anything but a dict stays a TypeError"),
        ("frozendict-or",),
    ),
    IssueDraft(
        "parse_timedelta takes text without a time for zero",
        "bug",
        1,
        "timeutils",
        "`parse_timedelta('soon')` is a timedelta of zero, although the docstring promises ValueError.",
        ("text in which no time is found is a ValueError that shows the text", "'0s' is still zero"),
        ("parse-timedelta",),
    ),
)
