"""Blocks of ports are never shared, and come back when their holder dies."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.workspaces import ports

HOLD = """
import sys
from tapeout.workspaces import lease
held = [lease(sys.argv[1]) for _ in range(5)]
print(*(one.base for one in held), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with room for three blocks."""
    monkeypatch.setattr(ports, "LAST", ports.FIRST + 3 * ports.COUNT - 1)


def _holders(home: Path, count: int) -> "list[subprocess.Popen[str]]":
    return [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]


def test_processes_that_race_get_different_blocks(tmp_path: Path) -> None:
    holders = _holders(tmp_path, 6)
    try:
        bases = [int(base) for one in holders if one.stdout for base in one.stdout.readline().split()]
    finally:
        for one in holders:
            one.communicate("")
    assert len(bases) == len(set(bases)) == 30
    assert all(ports.FIRST <= base <= ports.LAST - 9 and base % ports.COUNT == 0 for base in bases)


@pytest.mark.usefixtures("few")
def test_killed_holder_gives_them_back(tmp_path: Path) -> None:
    held = [ports.lease(str(tmp_path)) for _ in range(3)]
    with pytest.raises(EnvironmentProblem, match="no block of 10 free ports"):
        ports.lease(str(tmp_path))
    held[1].close()
    held[1].close()
    child = os.fork()
    if child == 0:
        ports.lease(str(tmp_path))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with ports.lease(str(tmp_path)) as again:
        assert again.base == held[1].base
    held[0].close()
    held[2].close()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_block_in_use_by_a_stranger_is_skipped(tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        try:
            server.bind((address, ports.FIRST + 13))
        except OSError:
            pytest.skip("the address is not available here")
        server.listen()
        held = [ports.lease(str(tmp_path)) for _ in range(2)]
        assert {one.base for one in held} == {ports.FIRST, ports.FIRST + 20}
        with pytest.raises(EnvironmentProblem):
            ports.lease(str(tmp_path))
        for one in held:
            one.close()


def test_the_block_of_a_dead_attempt_is_had_again_unless_somebody_else_has_it(tmp_path: Path) -> None:
    home, root = str(tmp_path), str(tmp_path / "workspace")
    os.mkdir(root)
    held = ports.lease(home)
    ports.note_ports(root, held)
    with ports.lease_again(home, root) as other:
        assert other.base != held.base
    held.close()
    with socket.create_server(("127.0.0.1", held.base)), ports.lease_again(home, root) as again:
        assert again.base == held.base, "what listens there is for whoever clears up"
    for damaged in ("", "x", "99999999", str(ports.FIRST + 1)):
        Path(root, "ports").write_text(damaged)
        with ports.lease_again(home, root) as other:
            assert other.base in range(ports.FIRST, ports.LAST, ports.COUNT)
