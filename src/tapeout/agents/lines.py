"""An agent's standard output as JSON objects, one a line.

What is no such line (a banner, a log) is reported and passed over, but only so much of it: a program that prints
something else altogether is not the one we were told of.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tapeout.agents.errors import AgentProtocolError
from tapeout.agents.process import AgentProcess
from tapeout.agents.render import plain

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of the longest message: agents send whole files in one."""

STRAY_LINES = 50
"""Lines that are no messages (banners, log lines) that an agent may print in a session."""

STRAY_BYTES = 64 * 1024
"""Bytes of such lines."""

QUOTE = 200
"""Characters of an agent's output quoted in a message."""


class JsonLines:
    """Reads the messages of one process."""

    def __init__(
        self,
        name: str,
        language: str,
        process: AgentProcess,
        on_stray: Callable[[str], None],
        accept: Callable[[dict[str, Any]], bool],
    ) -> None:
        """
        Args:
            name: the agent's.
            language: what it should speak, for a message.
            process: whose output to read.
            on_stray: told of each line that is no message, quoted.
            accept: whether an object is a message.
        """
        self._name = name
        self._language = language
        self._process = process
        self._on_stray = on_stray
        self._accept = accept
        self._stray = bytearray()
        self._stray_lines = 0

    def stray(self) -> str:
        """The start of what was printed besides messages, quoted."""
        return quote(self._stray.decode(errors="replace"))

    async def next(self) -> dict[str, Any] | None:
        """The next message; None at the end.

        Raises:
            AgentProtocolError: what it prints is not the agreed language.
        """
        while True:
            line = await self._line()
            if not line:
                return None
            message = _parse(line)
            if message is not None and self._accept(message):
                return message
            self._note_stray(line)

    async def _line(self) -> bytes:
        try:
            return await self._process.stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            start = quote((await self._process.stdout.read(QUOTE)).decode(errors="replace"))
            raise AgentProtocolError(
                f"{self._name} printed a line of more than {LINE_LIMIT:,} bytes: {start}"
            ) from error

    def _note_stray(self, line: bytes) -> None:
        if not line.strip():
            return
        self._stray_lines += 1
        self._stray += line[: STRAY_BYTES + 1]
        self._on_stray(quote(line.decode(errors="replace")))
        if self._stray_lines > STRAY_LINES or len(self._stray) > STRAY_BYTES:
            raise AgentProtocolError(
                f"{self._name} does not speak {self._language} on its standard output: it printed {self.stray()}"
            )


def quote(text: str) -> str:
    """The start of some output in quotes, with everything unusual escaped."""
    shown = plain(text[: 4 * QUOTE]).strip()[:QUOTE]
    return json.dumps(shown, ensure_ascii=False)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
