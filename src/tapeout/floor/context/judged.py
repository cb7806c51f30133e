"""The verdicts that are on record, with how full the context was. Pure."""

import contextlib
from collections.abc import Iterable, Iterator

from tapeout.floor.context.curve import JudgedContext
from tapeout.tracker.model import AttemptNote


def judged_contexts(notes: Iterable[AttemptNote]) -> Iterator[JudgedContext]:
    """The verdicts that notes hold; what another clone wrote in another form is passed over."""
    for note in notes:
        verdicts = note.data.get("verdicts")
        for verdict in verdicts if isinstance(verdicts, list) else []:
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
                share = float(verdict["used"]) / float(verdict["window"])
                if 0 <= share < float("inf"):
                    yield JudgedContext(
                        agent=str(note.data.get("agent", "")),
                        model=str(verdict.get("model", "")),
                        share=share,
                        passed=verdict["passed"] is True,
                        estimated=verdict.get("estimated") is True,
                    )
