"""Programs in terminals."""

import os
import signal
from collections.abc import Sequence

import anyio
import pytest

from tapeout.base.errors import EnvironmentProblem
from tapeout.base.pty import Terminal


class Heard(list[bytes]):
    def write(self, data: bytes | str, /) -> None:
        assert isinstance(data, bytes)
        self.append(data)

    @property
    def text(self) -> str:
        return b"".join(self).decode()


def _run(argv: Sequence[str], prompt: bytes | None = None, keys: bytes = b"") -> tuple[int, str]:
    async def run() -> tuple[int, str]:
        heard = Heard()
        async with Terminal(argv, cwd="/", env=dict(os.environ), sink=heard, prompt=prompt) as terminal:
            if keys:
                terminal.type(keys)
            return await terminal.wait(), heard.text

    return anyio.run(run)


def test_has_a_terminal_of_the_given_size_that_controls_it() -> None:
    code, text = _run(["sh", "-c", "test -t 0 && stty size && echo shown > /dev/tty; exit 3"])
    assert (code, text) == (3, "32 120\r\nshown\r\n")


def test_prompt_is_its_input() -> None:
    assert _run(["cat"], prompt=b"do this\n") == (0, "do this\r\n")


def test_long_prompt_and_output_arrive_whole() -> None:
    prompt = b"x" * 99 + b"\n"
    code, text = _run(["cat"], prompt=prompt * 5000)
    assert (code, len(text)) == (0, 101 * 5000)


def test_typing() -> None:
    assert _run(["sh", "-c", "read line; echo got $line"], keys=b"hello\n") == (0, "hello\r\ngot hello\r\n")


def test_daemon_that_keeps_the_terminal_open_does_not_hang_us() -> None:
    code, text = _run(["sh", "-c", "setsid sleep 1000 & echo $!"])
    assert code == 0
    os.kill(int(text), signal.SIGKILL)


def test_leaving_kills_it() -> None:
    async def run() -> int:
        async with Terminal(["sleep", "1000"], cwd="/", env=dict(os.environ), sink=Heard()) as terminal:
            pass
        return terminal.process.wait()

    assert anyio.run(run) == -signal.SIGKILL


def test_cancelling_the_wait() -> None:
    async def run() -> bool:
        async with Terminal(["sleep", "1000"], cwd="/", env=dict(os.environ), sink=Heard()) as terminal:
            with anyio.move_on_after(0.05) as scope:
                await terminal.wait()
        return scope.cancelled_caught

    assert anyio.run(run)


def test_missing_program() -> None:
    with pytest.raises(EnvironmentProblem, match="program not found"):
        _run(["no-such-program"])
