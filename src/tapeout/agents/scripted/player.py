"""A session of the scripted agent: its messages to the client, its tools, and which turn of the script is next."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .script import Script, ScriptError, Step, find_script, parse_script

ATTEMPT_NUMBER = "TAPEOUT_ATTEMPT_NUMBER"
"""Variable that says which session on the issue this is, from 1: it selects the turns with that `session`."""

OUTPUT_TAIL = 4096
"""Characters of a tool's output that the client sees."""


class Refusal(Exception):
    """The turn is to be answered with an error, as by an agent whose model does not answer."""


class Wire:
    """JSON-RPC, one message a line, on file descriptors 0 and 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: dict[int, tuple[threading.Event, dict[str, Any]]] = {}
        self._requests = 0

    def line(self, data: bytes) -> None:
        with self._lock:
            view = memoryview(data + b"\n")
            while view:
                view = view[os.write(1, view) :]

    def send(self, **message: Any) -> None:
        self.line(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def answer(self, request: object, result: object) -> None:
        self.send(id=request, result=result)

    def refuse(self, request: object, code: int, message: str) -> None:
        self.send(id=request, error={"code": code, "message": message})

    def call(self, method: str, params: object, cancelled: threading.Event) -> dict[str, Any]:
        """Ask the client, and wait for its reply; empty when the turn is cancelled meanwhile."""
        self._requests += 1
        number, done, box = self._requests, threading.Event(), {}  # type: ignore[var-annotated]
        self._replies[number] = (done, box)
        self.send(id=number, method=method, params=params)
        while not done.wait(0.05) and not cancelled.is_set():
            pass
        return box

    def reply(self, message: Mapping[str, Any]) -> None:
        """A response of the client arrived."""
        done, box = self._replies.pop(message.get("id", 0), (threading.Event(), {}))
        box.update(message.get("result") or {})
        done.set()


class Session:
    """One conversation: remembers its script and how many prompts it has had."""

    any_deaf = False
    """Whether a session has gone deaf: then SIGTERM and the end of standard input are ignored."""

    def __init__(self, name: str, cwd: str, wire: Wire, play_step: Callable[["Session", Step], None]) -> None:
        self.name = name
        self.cwd = cwd
        self.cancelled = threading.Event()
        self.busy = False
        self.deaf = False
        self._wire = wire
        self._play_step = play_step
        self._script: Script | None = None
        self._prompts = 0
        self._calls = 0
        self._tool: subprocess.Popen[bytes] | None = None

    def play(self, request: object, prompt: str) -> None:
        """One turn, from the prompt to the answer."""
        self._prompts += 1
        try:
            reason = self._play(prompt)
        except Refusal as refusal:
            self.busy = False
            self._wire.refuse(request, -32603, str(refusal))
            return
        self.busy = False
        self._wire.answer(request, {"stopReason": reason})

    def cancel(self) -> None:
        """Stop the turn and the tool it runs."""
        if self.deaf:
            return
        self.cancelled.set()
        tool = self._tool
        if tool is not None:
            with contextlib.suppress(OSError):
                os.killpg(tool.pid, signal.SIGKILL)

    def _play(self, prompt: str) -> str:
        try:
            if self._script is None:
                text = find_script(prompt)
                if text is None:
                    self.say("There is no tapeout-script block in the prompt, so there is nothing to do.\n")
                    return "end_turn"
                self._script = parse_script(text)
        except ScriptError as error:
            self.say(f"The script is not valid: {error}.\n")
            return "refusal"
        for step in self._script.turn(attempt_number(), self._prompts).steps:
            if self.cancelled.is_set():
                break
            try:
                self._play_step(self, step)
            except (OSError, ValueError) as error:
                self.say(f"Cannot {step.action}: {error}.\n")
        return "cancelled" if self.cancelled.is_set() else "end_turn"

    def path(self, name: str) -> str:
        return os.path.join(self.cwd, name)

    def update(self, session_update: str, **fields: Any) -> None:
        self._wire.send(
            method="session/update",
            params={"sessionId": self.name, "update": {"sessionUpdate": session_update, **fields}},
        )

    def say(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            self.update("agent_message_chunk", content={"type": "text", "text": line})

    def tool(self, title: str, kind: str) -> "Tool":
        self._calls += 1
        return Tool(self, f"call-{self._calls}", title, kind)

    def ask(self, question: str) -> str:
        """The kind of the option that the client chose, or "cancelled"."""
        self._calls += 1
        kinds = ("allow_once", "allow_always", "reject_once")
        call = {"toolCallId": f"call-{self._calls}", "title": question, "kind": "execute"}
        options = [{"optionId": kind, "name": kind.replace("_", " "), "kind": kind} for kind in kinds]
        params = {"sessionId": self.name, "toolCall": call, "options": options}
        outcome = self._wire.call("session/request_permission", params, self.cancelled).get("outcome") or {}
        return str(outcome.get("optionId", "cancelled"))

    def shell(self, argv: list[str], title: str, env: Mapping[str, str] | None = None) -> None:
        """Run a command as a tool: its output streams to the client, its exit code ends the call."""
        call = self.tool(title, "execute")
        process = subprocess.Popen(
            argv,
            cwd=self.cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tool = process
        if self.cancelled.is_set():
            self.cancel()
        reader = threading.Thread(target=call.stream, args=(process.stdout,), daemon=True)
        reader.start()
        code = process.wait()
        reader.join(0.2)  # what it left in the background may hold the pipe open for ever
        self._tool = None
        call.end(code == 0, f"exit code {code}\n", {"exitCode": code})

    def rubbish(self, text: str) -> None:
        self._wire.line(text.encode())


class Tool:
    """A tool call as the client sees it."""

    def __init__(self, session: Session, name: str, title: str, kind: str) -> None:
        self._session = session
        self._name = name
        self._output = ""
        self._ended = False
        session.update("tool_call", toolCallId=name, title=title, kind=kind, status="in_progress")

    def stream(self, pipe: Any) -> None:
        while data := pipe.read1(65536):
            self._output = (self._output + data.decode(errors="replace"))[-OUTPUT_TAIL:]
            if not self._ended:
                self._session.update("tool_call_update", toolCallId=self._name, content=self._content())

    def end(
        self,
        good: bool,
        text: str,
        raw: Mapping[str, Any] | None = None,
        diff: Mapping[str, Any] | None = None,
    ) -> None:
        self._ended = True
        self._output += text
        status = "completed" if good else "failed"
        extra = {} if raw is None else {"rawOutput": raw}
        content = self._content() + ([] if diff is None else [{"type": "diff", **diff}])
        self._session.update("tool_call_update", toolCallId=self._name, status=status, content=content, **extra)

    def _content(self) -> list[dict[str, Any]]:
        return [{"type": "content", "content": {"type": "text", "text": self._output}}]


def attempt_number() -> int:
    """Which session on the issue this is, from 1."""
    text = os.environ.get(ATTEMPT_NUMBER, "1")
    return int(text) if text.isdecimal() else 1
