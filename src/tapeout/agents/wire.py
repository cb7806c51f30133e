"""An agent's standard streams as a stream of ACP messages, for the SDK's connection.

Notifications are handled here, synchronously: in the order of the stream, and before any response that follows them.
Nothing raised here is lost: the stream ends, and `failure` says why.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tapeout.agents.lines import JsonLines
from tapeout.agents.process import AgentProcess

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
        self._process = process
        self._on_session_update = on_session_update
        self._lines = JsonLines(name, "ACP", process, on_stray, _is_message)
        self._notifications = 0

    def stray(self) -> str:
        """The start of what was printed besides messages, quoted."""
        return self._lines.stray()

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
            message = await self._lines.next()
            if message is None:
                return None
            self.spoke = True
            if "method" not in message or "id" in message:
                return message
            await self._notification(message)

    async def _notification(self, message: dict[str, Any]) -> None:
        self._notifications += 1
        if self._notifications % BREATH == 0:
            await asyncio.sleep(0)
        params = message.get("params")
        if message["method"] == "session/update" and isinstance(params, dict):
            self._on_session_update(params)


def _is_message(message: dict[str, Any]) -> bool:
    """Whether it is one of JSON-RPC."""
    method = message.get("method")
    return isinstance(method, str) or (method is None and "id" in message)
