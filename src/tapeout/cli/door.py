"""The `tapeout` command inside an agent's sandbox, from which the tracker cannot be reached: it is run outside, and
answers here (`floor/door.py`)."""

from __future__ import annotations

import json
import os
import socket
import sys

from tapeout.base.errors import EnvironmentProblem, NotAllowed, UsageError
from tapeout.base.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def through(door: str, words: Sequence[str]) -> int:
    """Have a command run outside and print what it printed; its exit code.

    Raises:
        EnvironmentProblem: nobody answers, or it cannot be run there.
        NotAllowed: agents may not call it.
        UsageError: it is no command line.
    """
    given = sys.stdin.read() if "-" in words else ""
    request = {"words": list(words), "folder": os.getcwd(), "input": given}
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            folder = os.open(os.path.dirname(door), os.O_PATH)  # a socket's path may have 107 characters
            channel.connect(f"/proc/self/fd/{folder}/{os.path.basename(door)}")
            channel.sendall(json.dumps(request).encode())
            channel.shutdown(socket.SHUT_WR)
            answer = json.loads(b"".join(iter(lambda: channel.recv(65536), b"")))
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(f"the tracker cannot be reached from this sandbox: {error}") from error
    if refused := answer.get("refused"):
        kind = next((one for one in (NotAllowed, UsageError) if one.code == refused["code"]), EnvironmentProblem)
        raise kind(refused["message"], hint=refused["hint"])
    sys.stdout.write(answer["output"])
    sys.stderr.write(answer["errors"])
    return int(answer["code"])
