"""The scripted agent's main loop: ACP requests in, answers out."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from .player import Session, Wire
from .steps import play


def _on_terminate(number: int, _frame: object) -> None:
    if not Session.any_deaf:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_ABOUT = {
    "protocolVersion": 1,
    "agentInfo": {"name": "scripted", "version": "1"},
    "agentCapabilities": {"loadSession": False},
    "authMethods": [],
}


class Program:
    """Answers the client's requests."""

    def __init__(self) -> None:
        self._wire = Wire()
        self._sessions: dict[str, Session] = {}

    def handle(self, message: Mapping[str, Any]) -> None:
        """One message of the client."""
        method, request, params = message.get("method"), message.get("id"), message.get("params") or {}
        if method is None:
            self._wire.reply(message)
        elif method == "initialize":
            capabilities = {"loadSession": False}
            self._wire.answer(request, {"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": []})
        elif method == "session/new":
            name = f"scripted-{os.getpid()}-{len(self._sessions) + 1}"
            self._sessions[name] = Session(name, params.get("cwd") or os.getcwd(), self._wire, play)
            self._wire.answer(request, {"sessionId": name})
        elif method in ("session/prompt", "session/cancel"):
            self._to_session(method, request, params)
        elif request is not None:
            self._wire.refuse(request, -32601, f"method not found: {method}")

    def _to_session(self, method: str, request: object, params: Mapping[str, Any]) -> None:
        session = self._sessions.get(params.get("sessionId", ""))
        if method == "session/cancel":
            if session is not None:
                session.cancel()
        elif session is None:
            self._wire.refuse(request, -32602, "there is no such session")
        elif session.busy:
            self._wire.refuse(request, -32600, "a turn is already running")
        else:
            session.busy = True
            session.cancelled.clear()
            text = "\n".join(str(block.get("text", "")) for block in params.get("prompt") or [])
            threading.Thread(target=session.play, args=(request, text), daemon=True).start()


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGTERM, _on_terminate)
    program = Program()
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError):
            program.handle(json.loads(line))
    while Session.any_deaf:
        signal.pause()
    os._exit(0)


if __name__ == "__main__":
    main()
