"""Serves the sockets that a program in a network of its own connects to, from outside of it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence

from tapeout.base.egress.bridge import bridged, receive
from tapeout.base.egress.request import HEAD_LIMIT, TUNNEL_OPEN, Request, parse_request, refusal
from tapeout.base.hosts import AllowList, Endpoint, is_address, leads_astray

PATIENCE = 30.0
"""Seconds for a request's head, and for a connection to be made."""

MOST_CONNECTIONS = 256
"""At once; more wait for the others to end."""

_CHUNK = 64 * 1024


class Gateway:
    """Lets programs in networks of their own reach the hosts of a list. Made and closed in an event loop."""

    def __init__(self, allowed: AllowList, refused: Callable[[Endpoint], None] = lambda _: None) -> None:
        """
        Args:
            refused: told of every host that somebody wanted to reach and may not.
        """
        self._allowed = allowed
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)
        self.proxy_port = next(port for port in range(3128, 3128 + 1000) if port not in allowed.here)

    @contextlib.contextmanager
    def serve(self, argv: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """The command to start in a network of its own instead of `argv`, and a descriptor that it must inherit. It is
        served until the block ends. May be called in any thread."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            serving = asyncio.run_coroutine_threadsafe(self._serve(ours), self._loop)
            try:
                ports = (self.proxy_port, *self._allowed.here)
                yield bridged(sys.executable, theirs.fileno(), ports, argv), theirs.fileno()
            finally:
                self._loop.call_soon_threadsafe(serving.cancel)

    async def close(self) -> None:
        """End all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, channel: socket.socket) -> None:
        duplicate = socket.socket(fileno=os.dup(channel.fileno()))  # the block may end while we still wait for it
        with duplicate:
            duplicate.setblocking(False)
            await _readable(self._loop, duplicate)
            listeners = receive(duplicate)
        with contextlib.ExitStack() as opened:
            for listener in listeners.values():
                opened.enter_context(listener)
            async with asyncio.TaskGroup() as accepting:
                for port, listener in listeners.items():
                    listener.setblocking(False)
                    accepting.create_task(self._accept(port, listener))

    async def _accept(self, port: int, listener: socket.socket) -> None:
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await self._loop.sock_accept(listener)
            except OSError:
                self._slots.release()
                return
            except BaseException:
                self._slots.release()
                raise
            task = self._loop.create_task(self._converse(port, connection))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._slots.release()

    async def _converse(self, port: int, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=HEAD_LIMIT)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                if port == self.proxy_port:
                    await self._proxy(reader, writer)
                else:
                    await _join(reader, writer, Endpoint("127.0.0.1", port), b"", b"")
        finally:
            writer.close()

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE):
            request = parse_request(await reader.readuntil(b"\r\n\r\n"))
        answer = self._answer(request)
        if request is None or answer:
            writer.write(answer)
            await writer.drain()
            return
        try:
            await _join(reader, writer, request.to, request.head, b"" if request.head else TUNNEL_OPEN)
        except (OSError, TimeoutError) as error:
            writer.write(refusal("502 Bad Gateway", f"cannot connect to {request.to.host}: {error}"))
            await writer.drain()

    def _answer(self, request: Request | None) -> bytes:
        """Why a request is not passed on; empty if it is."""
        if request is None:
            return refusal("400 Bad Request", "this is a proxy for HTTP, and that is no request to one")
        if self._allowed.allows(request.to):
            return b""
        self._refused(request.to)
        return refusal(
            "403 Forbidden", f"[sandbox] network allows no connection to {request.to.host}:{request.to.port}"
        )


def proxy_environment(port: int) -> dict[str, str]:
    """The variables by which programs find a proxy at a port of 127.0.0.1."""
    url = f"http://127.0.0.1:{port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    here = "localhost,127.0.0.1,::1"
    return {**dict.fromkeys(names, url), "NO_PROXY": here, "no_proxy": here, "NODE_USE_ENV_PROXY": "1"}


async def _readable(loop: asyncio.AbstractEventLoop, channel: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_reader(channel, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(channel)


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Endpoint, head: bytes, greeting: bytes
) -> None:
    """Connect to an endpoint, say `head` to it and `greeting` to whom we serve, and copy in both directions.

    Raises:
        OSError, TimeoutError: it cannot be connected to.
    """
    async with asyncio.timeout(PATIENCE):
        there, far = await asyncio.open_connection(await _address(to), to.port)
    try:
        far.write(head)
        writer.write(greeting)
        await asyncio.gather(_copy(reader, far), _copy(there, writer))
    finally:
        far.close()


async def _address(to: Endpoint) -> str:
    """The address to connect to. A name that was allowed leads outside; this machine is allowed by its own names only.

    Raises:
        OSError: there is none.
    """
    if to.is_here or is_address(to.host):
        return to.host
    found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found if not leads_astray(str(address[0]))]
    if not addresses:
        raise OSError("its name leads to this machine, which is allowed as 127.0.0.1:PORT only")
    return addresses[0]


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy to the end of the source, and tell the target that it has come."""
    with contextlib.suppress(OSError):
        try:
            while chunk := await source.read(_CHUNK):
                target.write(chunk)
                await target.drain()
        finally:
            target.write_eof()
