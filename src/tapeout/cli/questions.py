"""`tapeout questions` and `tapeout answer`: what agents ask people."""

from __future__ import annotations

import time

from tapeout.base.lean import TYPE_CHECKING
from tapeout.cli.commands import add_json, add_jsonl, read_text
from tapeout.cli.context import open_tracker
from tapeout.cli.output import Result, Stream, duration, table

if TYPE_CHECKING:
    import argparse

    from tapeout.cli.commands import Describes
    from tapeout.tracker.model import Question


def add_arguments(parser: Describes) -> None:
    """Arguments of `questions` or `answer`."""
    if parser.prog.endswith("questions"):
        parser.add_argument("--all", action="store_true", help="answered ones, and those of closed issues, too")
        add_jsonl(parser)
        parser.set_defaults(run=_questions)
        return
    parser.add_argument("question", metavar="QUESTION", help="its id")
    parser.add_argument(
        "answer", metavar="ANSWER", help="allow, always, deny, or words for the agent (- or @FILE reads them)"
    )
    add_json(parser)
    parser.set_defaults(run=_answer, for_people=True)


def _questions(arguments: argparse.Namespace) -> Result | Stream:
    with open_tracker() as tracker:
        found = tracker.questions(open_only=not arguments.all)
    data = [one._asdict() for one in found]
    if arguments.jsonl:
        return Stream("question", data)
    return Result(data, _text(found) if found else "nobody asks anything")


def _text(found: list[Question]) -> str:
    now = time.time()
    rows = [(one.id, one.issue, one.attempt, _state(one, now), one.title) for one in found]
    return table(("question", "issue", "attempt", "state", "wants"), rows)


def _state(question: Question, now: float) -> str:
    if question.answer:
        return f"{question.answered_by}: {question.answer}"
    if question.until > now:
        return f"waits {duration(question.until - now)}"
    return "went on without"


def _answer(arguments: argparse.Namespace) -> Result:
    with open_tracker() as tracker:
        question = tracker.answer(arguments.question, read_text(arguments.answer))
        ended = tracker.attempt(question.attempt).outcome is not None
    told = "the next session on the issue is told" if ended else "the agent is told"
    return Result(question._asdict(), f"answered; {told}")
