"""What runs in the network namespace before the program: opens sockets that listen there, hands them out, becomes the
program. A socket belongs to the network in which it was made, whoever has it.
"""

import contextlib
import json
import os
import socket
from collections.abc import Sequence

MOST_PORTS = 100
"""Linux passes 253 descriptors in one message."""

_SOURCE = """\
import json, os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
opened = {}
for port in sys.argv[2].split(","):
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(128)
    except OSError:
        continue
    opened[int(port)] = listener
socket.send_fds(channel, [json.dumps(list(opened)).encode()], [one.fileno() for one in opened.values()])
channel.close()
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"{sys.argv[3]}: {error.strerror}")
"""


def bridged(python: str, channel: int, ports: Sequence[int], argv: Sequence[str]) -> list[str]:
    """The command that opens these ports, hands them to the other end of the socket `channel`, and becomes `argv`."""
    listed = ",".join(str(port) for port in ports[:MOST_PORTS])
    return [python, "-I", "-S", "-c", _SOURCE, str(channel), listed, *argv]


def receive(channel: socket.socket) -> dict[int, socket.socket]:
    """The sockets that were opened, by port: a message of our own program, before another one runs in there."""
    message, descriptors, _, _ = socket.recv_fds(channel, 64 * 1024, MOST_PORTS)
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    with contextlib.suppress(ValueError, TypeError):
        return dict(zip(json.loads(message), listeners, strict=True))
    for listener in listeners:
        os.close(listener.detach())
    return {}
