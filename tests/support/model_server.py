"""A scripted model on 127.0.0.1, for tests with real agent programs: see `model_script` for the scripts.

    with ModelServer() as server:
        ...  # give server.url to the agent: server.url + "/v1/responses", /v1/chat/completions, /v1/messages

or `python -m tests.support.model_server --port 8123`. Standard library only.
"""

import argparse
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.support.model_script import Conversation, Reply, ScriptError, Usage, next_reply
from tests.support.model_wire import APIS, Api, Call, make_call

_LOG_LENGTH = 2_000
_CHARACTERS_PER_TOKEN = 4


class Request(NamedTuple):
    """One request as it came, and what was answered."""

    path: str
    body: dict[str, Any]
    conversation: Conversation
    reply: Reply
    at: float
    """Unix time, seconds."""


class ModelServer:
    """The server, in threads of this process, from `with` to its end."""

    def __init__(self, port: int = 0) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.model = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=_LOG_LENGTH)
        self._failures: dict[str, int] = {}
        self._arrived = threading.Condition(self._lock)
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def requests(self) -> list[Request]:
        """The newest requests for an answer, oldest first."""
        with self._lock:
            return list(self._requests)

    def wait_for_requests(self, count: int, timeout: float = 30.0) -> list[Request]:
        """The requests, once there are that many.

        Raises:
            TimeoutError: there were fewer after `timeout` seconds.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, timeout):
                raise TimeoutError(f"{len(self._requests)} requests instead of {count} in {timeout} s")
            return list(self._requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, api: Api, body: dict[str, Any]) -> tuple[Reply, Call | None]:
        """What to answer to a request, which is logged."""
        conversation = api.conversation(body)
        try:
            reply = next_reply(conversation, lambda failure: self._failures.get(failure, 0))
            call = make_call(reply, api.tools(body), f"call_{len(conversation.results)}_{time.time_ns():x}")
        except ScriptError as error:
            reply, call = Reply(status=400, body=str(error)), None
        with self._arrived:
            if reply.failure is not None:
                self._failures[reply.failure] = self._failures.get(reply.failure, 0) + 1
            self._requests.append(Request(api.path, body, conversation, reply, time.time()))
            self._arrived.notify_all()
        return reply, call


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    model: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing: tests read `ModelServer.requests`."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path.endswith("/models"):
            model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "tests"}
            self._send_json(200, {"object": "list", "data": [model]})
        else:
            self._send_json(404, _error("no such page"))

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if path.endswith("/count_tokens"):
            self._send_json(200, {"input_tokens": len(raw) // _CHARACTERS_PER_TOKEN})
            return
        api = next((api for api in APIS if path.endswith(api.path)), None)
        if api is None:
            self._send_json(404, _error(f"no API at {path}"))
            return
        body = json.loads(raw)
        reply, call = self.server.model.answer(api, body)
        if self.server.model.stopping.wait(reply.delay) and reply.delay:
            return
        if reply.status != 200:
            headers = {} if reply.retry_after is None else {"retry-after": f"{reply.retry_after:g}"}
            self._send_json(reply.status, _failure(reply.body or f"scripted status {reply.status}"), headers)
            return
        usage = reply.usage or Usage(len(raw) // _CHARACTERS_PER_TOKEN, 10)
        with contextlib.suppress(ConnectionError):
            self._send_stream(api.events(reply, call, usage, body), reply.cut)

    def _send_stream(self, events: Iterator[tuple[str, Any]], cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        frames = [_frame(name, data) for name, data in events]
        for frame in frames[: len(frames) // 2] if cut else frames:
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        if cut:
            self._drop()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _drop(self) -> None:
        """Close at once with a reset, as a broken network does."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send_json(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(data).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)


def _frame(name: str, data: Any) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _error(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "scripted", "code": "scripted", "message": message}}


def _failure(body: str) -> Any:
    """The body of an error: a JSON object as it is given, or one that holds the text."""
    try:
        data = json.loads(body)
    except ValueError:
        return _error(body)
    return data if isinstance(data, dict) else _error(body)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    options = parser.parse_args(arguments)
    with ModelServer(options.port) as server, contextlib.suppress(KeyboardInterrupt):
        print(f"listening on {server.url}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
