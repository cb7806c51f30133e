"""The door through which an agent in its sandbox reaches the tracker: by the `tapeout` command, and by nothing else.

The tracker's database is not visible in the sandbox. A `tapeout` called there asks the worker through a socket in the
workspace; the worker runs the command outside, with the environment of the attempt: so what agents may not do is
refused by us, and not by a variable that they could change. The command has a sandbox of its own, in which it sees the
tracker and the agent's workspace, and neither the user's home nor the keys of the hub: a file that it is told to read
or to write is one that the agent could read or write.

What may go wrong: the agent sends rubbish, floods or never ends its request (size, time and number are limited); a
command takes long (it is ended).
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from tapeout.base.errors import EnvironmentProblem, NotAllowed, TapeoutError, UsageError
from tapeout.base.paths import FOLDERS_VARIABLE
from tapeout.base.sandbox import Confinement, SandboxFailed, run_confined
from tapeout.base.sandbox.policy import is_below

COMMANDS = frozenset(
    {"blocked", "claim", "graph", "issue", "prime", "ready", "release", "renew", "search", "stale", "stats", "status"}
)
"""What agents may call. What needs a person is refused by each command itself."""

REQUEST_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 16 * 1024 * 1024
SECONDS = 60.0
AT_ONCE = 4

MOST_WAITING = 64
"""Connections that may wait for their turn: each takes a descriptor of the worker's."""

MOST_COMMANDS = 2_000
"""Of one session: what they write lies in the tracker, which no limit on the workspace's size counts."""

_COMMAND = "import os, sys; os.dup2(int(sys.argv.pop(1)), 2); from tapeout.cli import main; sys.exit(main())"
"""What it prints on the two streams is kept apart: JSON is read by programs."""

NAME = ".tapeout"
"""Of the socket, in the workspace's folder for temporary files."""


@dataclass(frozen=True)
class Request:
    """What a command inside asks for."""

    words: tuple[str, ...]
    folder: str
    input: str = field(repr=False)


def parse_request(data: bytes) -> Request | TapeoutError:
    """The request in what was sent, or why it is refused."""
    try:
        found = json.loads(data)
        words, folder, given = found["words"], found["folder"], found["input"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return UsageError("that is no request")
    if not (isinstance(words, list) and all(isinstance(word, str) and "\0" not in word for word in words)):
        return UsageError("that is no request")
    if not isinstance(folder, str) or not isinstance(given, str) or not _can_be_said([*words, folder]):
        return UsageError("that is no request")
    name = next((word for word in words if not word.startswith("-")), "")
    if name and name not in COMMANDS:
        return NotAllowed(
            f"`tapeout {name}` cannot be called from an agent's sandbox",
            hint=f"these can: {', '.join(sorted(COMMANDS))}",
        )
    return Request(tuple(words), folder, given)


def _can_be_said(texts: list[str]) -> bool:
    """Whether the system takes these as arguments and paths."""
    try:
        return not any(b"\0" in os.fsencode(text) for text in texts)
    except UnicodeEncodeError:
        return False


class Door:
    """Runs commands for one workspace."""

    def __init__(
        self,
        confinement: Confinement,
        env: Mapping[str, str],
        folders: tuple[str, ...],
        over: Confinement | None = None,
    ) -> None:
        """
        Args:
            confinement: of the commands.
            env: their environment.
            folders: in which of them a command may start; the first, if it is called from elsewhere. It uses no files
                that its arguments name but in these.
            over: the confinement in which a workspace that is a layer is seen as its agent sees it. Not every kernel
                shows a layer twice: where this one cannot be set up, commands do without the workspace's files.
        """
        self._confinement = confinement
        self._over = over
        self._folders = tuple(os.path.realpath(folder) for folder in folders)
        self._env = {**env, FOLDERS_VARIABLE: "\n".join(self._folders)}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._commands = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self._waiting += 1
        try:
            if self._waiting > MOST_WAITING:
                return
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(SECONDS), self._slots:
                    request = parse_request(await _read(reader))
                    writer.write(json.dumps(await self._answer(request)).encode())
                    await writer.drain()
        finally:
            self._waiting -= 1
            writer.close()

    async def _answer(self, request: Request | TapeoutError) -> dict[str, object]:
        if isinstance(request, TapeoutError):
            return _refused(request)
        if self._commands >= MOST_COMMANDS:
            return _refused(NotAllowed(f"this session has used the tracker {MOST_COMMANDS:,} times: it may no more"))
        self._commands += 1
        return await anyio.to_thread.run_sync(self._run, request)

    def _run(self, request: Request) -> dict[str, object]:
        try:
            if self._over is not None:
                # What is in a layer is not there outside: only the sandbox knows whether the folder exists.
                folder = os.path.normpath(request.folder)
                with contextlib.suppress(SandboxFailed):
                    return self._run_in(self._over, request, folder if self._is_ours(folder) else self._folders[0])
            folder = os.path.realpath(request.folder)
            ours = self._is_ours(folder) and os.path.isdir(folder)
            return self._run_in(self._confinement, request, folder if ours else self._folders[0])
        except EnvironmentProblem as error:
            return _refused(error)

    def _is_ours(self, path: str) -> bool:
        return any(is_below(path, folder) for folder in self._folders)

    def _run_in(self, confinement: Confinement, request: Request, cwd: str) -> dict[str, object]:
        """
        Raises:
            EnvironmentProblem: it cannot be run there.
        """
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(request.input.encode("utf-8", "replace"))
            given.seek(0)
            argv = [sys.executable, "-P", "-c", _COMMAND, str(errors.fileno()), *request.words]
            done = run_confined(
                confinement,
                argv,
                cwd=cwd,
                env=self._env,
                timeout=SECONDS,
                keep=ANSWER_BYTES,
                stdin=given,
                pass_fds=(errors.fileno(),),
            )
            errors.seek(0)
            said = errors.read(ANSWER_BYTES).decode(errors="replace")
        return {"code": 1 if done.exit_code is None else done.exit_code, "output": done.output, "errors": said}


def _refused(error: TapeoutError) -> dict[str, object]:
    """What the command inside prints itself, for it knows whether as JSON."""
    return {"refused": {"code": error.code, "message": error.message, "hint": error.hint}}


async def _read(reader: asyncio.StreamReader) -> bytes:
    """All that is sent; nothing if it is too much."""
    data = b""
    while chunk := await reader.read(65536):
        data += chunk
        if len(data) > REQUEST_BYTES:
            return b""
    return data


@contextlib.asynccontextmanager
async def opened(door: Door, folder: str) -> AsyncIterator[str]:
    """Serve at a socket in a folder for the time of the block; its path."""
    path = os.path.join(folder, NAME)
    listener = socket.socket(socket.AF_UNIX)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener.bind(f"/proc/self/fd/{descriptor}/{NAME}")  # a socket's path may have 107 characters
    finally:
        os.close(descriptor)
    server = await asyncio.start_unix_server(door.answer, sock=listener)
    try:
        yield path
    finally:
        server.close()
