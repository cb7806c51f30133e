"""The kinds of reasons for which a session is ended before its agent is done. Pure."""

from typing import Literal

CutKind = Literal["context", "spiral", "budget", "stalled", "person", "provider"]

SEVERITY: tuple[CutKind, ...] = ("person", "budget", "spiral", "context", "provider", "stalled")
"""Which of several cuts counts: what a person wants first, what ends more before what ends less."""
