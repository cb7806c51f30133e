"""Real programs in a network of their own, and what they reach of servers outside."""

import contextlib
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tapeout.base.egress import Filtered, Gateway, proxy_environment
from tapeout.base.hosts import Endpoint, allow_list
from tapeout.base.processes import Captured
from tapeout.base.sandbox import Confined, Policy, Sandbox, available, run_confined

SANDBOX = next((one for one in available() if isinstance(one, Sandbox) and one.isolates_network), None)

pytestmark = pytest.mark.skipif(SANDBOX is None, reason="nothing here gives programs a network of their own")


class Answers(http.server.BaseHTTPRequestHandler):
    """Says which path was asked for."""

    def do_GET(self) -> None:
        body = f"path {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def server() -> Iterator[int]:
    """A web server on a port of 127.0.0.1."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving.server_address[1]
        serving.shutdown()
        thread.join()


GET = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=20).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
    except OSError as error:
        print("nothing")
"""

TUNNEL = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
connection.set_tunnel("localhost", int(sys.argv[2]))
try:
    connection.request("GET", "/tunnel")
    print(connection.getresponse().read().decode())
except OSError as error:
    print(error)
"""


def run(
    folder: Path, allowed: list[str], script: str, *words: str, proxied: bool = True
) -> tuple[Captured, list[Endpoint]]:
    """Run a Python script in a sandbox with a gateway; what it printed, and which hosts it was refused."""
    refused: list[Endpoint] = []

    async def main() -> Captured:
        assert SANDBOX is not None
        gateway = Gateway(allow_list(allowed), refused.append)
        confinement = Filtered(Confined(SANDBOX, Policy(writable=(str(folder),))), gateway)
        env = {"PATH": os.environ["PATH"], **(proxy_environment(gateway.proxy_port) if proxied else {})}
        env.pop("NO_PROXY", None)
        env.pop("no_proxy", None)
        argv = [sys.executable, "-I", "-c", script, *(word.format(proxy=gateway.proxy_port) for word in words)]

        try:
            run = partial(run_confined, confinement, argv, cwd=str(folder), env=env, timeout=60)
            return await anyio.to_thread.run_sync(run)
        finally:
            await gateway.close()

    return anyio.run(main), refused


def test_allowed_hosts_are_reached_through_the_proxy_and_others_are_refused(tmp_path: Path) -> None:
    with server() as port, server() as other:
        urls = [f"http://127.0.0.1:{port}/a?b", f"http://127.0.0.1:{other}/secret", f"http://localhost:{port}/"]
        done, refused = run(tmp_path, [f"127.0.0.1:{port}"], GET, *urls)
    first, second, third = done.output.splitlines()
    assert first == "path /a?b"
    assert second == f"403 tapeout: [sandbox] network allows no connection to 127.0.0.1:{other}"
    assert third.startswith("403")
    assert refused == [Endpoint("127.0.0.1", other), Endpoint("localhost", port)]


def test_a_program_that_ignores_proxies_reaches_the_model_on_this_machine_only(tmp_path: Path) -> None:
    with server() as port, server() as other:
        urls = [f"http://127.0.0.1:{port}/direct", f"http://127.0.0.1:{other}/"]
        done, _ = run(tmp_path, [f"127.0.0.1:{port}"], GET, *urls, proxied=False)
    assert done.output.splitlines() == ["path /direct", "nothing"]


def test_a_tunnel_leads_to_allowed_hosts_only(tmp_path: Path) -> None:
    with server() as port:
        done, _ = run(tmp_path, [f"localhost:{port}"], TUNNEL, "{proxy}", str(port))
        assert done.output == "path /tunnel\n"
        done, refused = run(tmp_path, ["example.org"], TUNNEL, "{proxy}", str(port))
        assert "403" in done.output
        assert refused == [Endpoint("localhost", port)]


def test_what_cannot_be_connected_to_is_told(tmp_path: Path) -> None:
    with server() as port:
        pass
    done, _ = run(tmp_path, [f"127.0.0.1:{port}"], GET, f"http://127.0.0.1:{port}/")
    assert done.output.startswith("502 tapeout: cannot connect to 127.0.0.1")


def test_rubbish_is_answered_and_the_program_keeps_its_exit_code(tmp_path: Path) -> None:
    script = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(b"\\xff\\xfe rubbish\\r\\n\\r\\n")
    print(connection.recv(1000).decode().splitlines()[0])
sys.exit(7)
"""
    done, _ = run(tmp_path, ["example.org"], script, "{proxy}")
    assert (done.output, done.exit_code) == ("HTTP/1.1 400 Bad Request\n", 7)
