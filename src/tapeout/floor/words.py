"""What people say to agents, as agents are told it. Pure."""

from collections.abc import Iterable

from tapeout.tracker.model import Order, Question

WORDS_LENGTH = 4000
"""Characters of what a person said that go into a prompt."""

MOST_TOLD = 20
"""How many things that people said about an issue a fresh session is told: the newest ones."""


def words_of(said: Order | Question) -> str:
    """What an agent is told of a person's words while its session runs."""
    if isinstance(said, Order):
        return f"A person who watches your work says:\n\n{said.text.strip()[:WORDS_LENGTH]}"
    return f"You asked: {said.title}\nA person answers: {meaning_of(said)}"


def meaning_of(answered: Question) -> str:
    """What the answer to a question means."""
    return {
        "allow": "yes, you may do it once.",
        "always": "yes, you may do that whenever you need to.",
        "deny": "no. Find another way.",
    }.get(answered.answer, answered.answer.strip()[:WORDS_LENGTH])


def said_to_earlier(orders: Iterable[Order], questions: Iterable[Question]) -> list[Order | Question]:
    """What a fresh session is told of what people said to the sessions before it: words and answers, oldest first."""
    said: list[tuple[float, str, Order | Question]] = [(one.at, one.id, one) for one in orders if one.kind == "nudge"]
    said += [(one.answered_at, one.id, one) for one in questions if one.answer]
    return [one for _, _, one in sorted(said)][-MOST_TOLD:]
