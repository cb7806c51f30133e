"""The first prompt of a session: each part within its budget, all within the whole's, by priority. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tapeout.base.tokens import estimate
from tapeout.config import PromptConfig
from tapeout.floor.prompting.assignment import Assignment
from tapeout.floor.prompting.fitting import fence_of, fit
from tapeout.floor.prompting.parts import PRIORITY, Item, Part, parts_of
from tapeout.tracker.prime.clipping import clip, visible

TITLE_TOKENS = 120

LEAST_PART = 64
"""Tokens kept for every part: enough for its title and the line that says what is left out."""

LEAST_ROOM = 40
"""Tokens: an item is not cut to less."""

CHARACTERS_A_TOKEN = 4
"""For saying about how long is what nobody has room to look at."""


class FittedPart(NamedTuple):
    """A part as it is in the prompt."""

    name: str
    text: str
    tokens: int
    """Estimated (`tapeout.base.tokens`)."""
    budget: int | None
    """None: it is ours and never cut."""
    left_out: int
    """Estimated tokens of what had no room."""
    more: str
    """Where the whole is."""


class CompiledPrompt(NamedTuple):
    """What a session is told first."""

    text: str
    tokens: int
    budget: int
    parts: tuple[FittedPart, ...]
    """In the order in which they are read; those that have nothing to say are missing."""

    def as_data(self) -> dict[str, Any]:
        """Its JSON form."""
        return {**self._asdict(), "parts": [part._asdict() for part in self.parts]}


def first_prompt(work: Assignment, limits: PromptConfig) -> CompiledPrompt:
    """What a fresh session is told."""
    parts = parts_of(work, limits)
    title = f"# {clip(' '.join(visible(work.issue.title).split()), TITLE_TOKENS)}"
    room = limits.total - estimate(f"{title}\n")
    fitted: dict[str, FittedPart] = {}
    served = sorted(parts, key=lambda one: PRIORITY.index(one.name))
    for waiting, part in zip(reversed(range(len(served))), served, strict=True):
        fitted[part.name] = fit_part(part, room - waiting * LEAST_PART)
        room -= fitted[part.name].tokens
    shown = tuple(fitted[part.name] for part in parts)
    text = "\n\n".join([title, *(part.text for part in shown if part.text)]) + "\n"
    return CompiledPrompt(text, estimate(text), limits.total, shown)


def fit_part(part: Part, room: int) -> FittedPart:
    """A part within its own budget and within `room` tokens, the empty lines around it included."""
    head = f"## {part.title}\n\n" if part.title else ""
    limit = room if part.budget is None else min(part.budget, room)
    if part.budget is None:
        body, left_out = "\n\n".join(item.lead for item in part.items), 0
    else:
        body, left_out = _fit_items(part, limit - estimate(f"{head}\n\n"))
    text = f"{head}{body}" if body else ""
    return FittedPart(part.name, text, estimate(f"{text}\n\n") if text else 0, part.budget, left_out, part.more)


def _fit_items(part: Part, room: int) -> tuple[str, int]:
    """As many items as there is room for, and the tokens left out."""
    items = list(reversed(part.items)) if part.newest_first else list(part.items)
    shown, left_out = _serve(items, room, part.more)
    if len(shown) < len(items):  # not even all of them cut short: now with room for a line that says so
        shown, left_out = _serve(items, room - estimate(f"{_note(10**6, 10**7, part)}\n\n"), part.more)
        rest = sum(1 + len(item.lead + item.text) // CHARACTERS_A_TOKEN for item in items[len(shown) :])
        shown.append(_note(len(items) - len(shown), rest, part))
        left_out += rest
    return _joined(shown, part), left_out


def _serve(items: Sequence[Item], room: int, more: str) -> tuple[list[str], int]:
    """The items that there is room for, as they are shown, and the tokens left out of these."""
    shown: list[str] = []
    missing = 0
    for item in items:
        text, left_out = _render(item, room, more)
        cost = estimate(f"{text}\n\n")
        if cost > room or (left_out and room < LEAST_ROOM):
            break
        shown.append(text)
        missing += left_out
        room -= cost
    return shown, missing


def _joined(texts: Sequence[str], part: Part) -> str:
    separator = "\n" if all("\n" not in text for text in texts) else "\n\n"
    return separator.join(reversed(texts) if part.newest_first else texts)


def _render(item: Item, room: int, more: str) -> tuple[str, int]:
    """An item within `room` tokens, if it can be, and the tokens that are left out of it."""
    if not item.text:
        return item.lead, 0
    lead = f"{item.lead}\n\n" if item.lead else ""
    fence = fence_of(item.text)
    if fence is None:
        note = f"[left out: it holds lines that could end any block around it. The whole: {more}]"
        return f"{lead}{note}", estimate(item.text)
    limit = room if item.most is None else min(room, item.most)
    text, left_out = fit(item.text, limit - estimate(f"{lead}{fence}\n\n{fence}\n\n"), more)
    return f"{lead}{fence}\n{text}\n{fence}", left_out


def _note(count: int, tokens: int, part: Part) -> str:
    which = "older ones" if part.newest_first else "more"
    return f"[{count:,} {which} left out, about {tokens:,} tokens. The whole: {part.more}]"
