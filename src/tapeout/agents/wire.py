"""An agent's standard streams as a stream of ACP messages, for the SDK's connection.

Notifications are handled here, synchronously: in the order of the stream, and before any response that follows them.
Nothing raised here is lost: the stream ends, and `failure` says why.
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

BREATH = 64
"""Notifications after which other tasks get their turn."""


class Wire:
    """A transport of the SDK: `send`, `receive`, `close`."""

    def __init__(
        self,
        name: str,
        process: AgentProcess,
        on_session_update: Callable[[dict[str, Any]], None],
        on_stray: Callable[[str], None],
    ) -> None:
        self.failure: Exception | None = None
        """Why the stream ended, if it was not its natural end."""
        self.spoke = False
        """Whether any message came."""
        self._name = name
        self._process = process
        self._on_session_update = on_session_update
        self._on_stray = on_stray
        self._stray = bytearray()
        self._stray_lines = 0
        self._notifications = 0

    def stray(self) -> str:
        """The start of what was printed besides messages, quoted."""
        return quote(self._stray.decode(errors="replace"))

    async def send(self, message: dict[str, Any]) -> None:
        """Write a message.

        Raises:
            ConnectionError: the agent no longer reads, and the message needed an answer.
        """
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, RuntimeError) as error:
            if "method" in message and "id" in message:
                raise ConnectionError(str(error)) from error

    async def receive(self) -> dict[str, Any] | None:
        """The next request or response; None at the end."""
        try:
            return await self._next()
        except Exception as error:  # noqa: BLE001  the SDK would log it and lose it
            self.failure = error
            return None

    async def close(self) -> None:
        """The process is closed by its owner."""

    async def _next(self) -> dict[str, Any] | None:
        while True:
            line = await self._line()
            if not line:
                return None
            message = _parse(line)
            if message is None:
                self._note_stray(line)
                continue
            self.spoke = True
            if "method" not in message or "id" in message:
                return message
            await self._notification(message)

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

    async def _notification(self, message: dict[str, Any]) -> None:
        self._notifications += 1
        if self._notifications % BREATH == 0:
            await asyncio.sleep(0)
        params = message.get("params")
        if message["method"] == "session/update" and isinstance(params, dict):
            self._on_session_update(params)

    def _note_stray(self, line: bytes) -> None:
        if not line.strip():
            return
        self._stray_lines += 1
        self._stray += line[: STRAY_BYTES + 1]
        self._on_stray(quote(line.decode(errors="replace")))
        if self._stray_lines > STRAY_LINES or len(self._stray) > STRAY_BYTES:
            raise AgentProtocolError(
                f"{self._name} does not speak ACP on its standard output: it printed {self.stray()}"
            )


def quote(text: str) -> str:
    """The start of some output in quotes, with everything unusual escaped."""
    shown = plain(text[: 4 * QUOTE]).strip()[:QUOTE]
    return json.dumps(shown, ensure_ascii=False)


def _parse(line: bytes) -> dict[str, Any] | None:
    """A JSON-RPC message, or None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    method = message.get("method")
    return message if isinstance(method, str) or (method is None and "id" in message) else None
