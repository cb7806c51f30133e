"""What every executor promises, tried on the local one; an adapter joins by adding itself to `ADAPTERS`."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import anyio
import psutil
import pytest

from tapeout.base import processes
from tapeout.base.errors import NotAllowed
from tapeout.engine import Executor, Job, Running
from tapeout.engine.local import LocalExecutor
from tests.support.processes import words_of

HERE = "tests.engine.test_local"
PATIENCE = 30.0

Adapter = Callable[[str], AbstractAsyncContextManager[Executor]]
"""Opens an executor whose jobs log into a folder."""


@asynccontextmanager
async def local(logs: str) -> AsyncIterator[Executor]:
    async with LocalExecutor(HERE, logs) as executor:
        with anyio.fail_after(PATIENCE):
            yield executor


ADAPTERS: list[Adapter] = [local]


# Jobs


def write(path: str, text: str) -> None:
    """Appears whole or not at all, so that who waits for it can read it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def sleep_on(path: str) -> None:
    write(path, str(os.getpid()))
    signal.pause()


def leave_daemon(path: str) -> None:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.pause()
    sleep_on(f"{path}-{pid}")


def speak(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    os.system(f"echo child {text}; cat")  # would hang if standard input were ours


def refuse(text: str) -> None:
    raise NotAllowed(text)


# The contract


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: str(adapter.__name__))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture(autouse=True)
def _server_of_its_own(_private_state: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jobs import this file; the server belongs to the process, so it is ended for the next test to have its own."""
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def job(name: str, entry: Callable[..., None], *arguments: object) -> Job:
    return Job(name, f"{HERE}:{entry.__name__}", tuple(map(str, arguments)))


async def appears(folder: Path, pattern: str) -> Path:
    """Wait for the file that a job writes when it runs."""
    while not (found := list(folder.glob(pattern))):  # noqa: ASYNC110, ASYNC240 - nothing else tells, and it is quick
        await anyio.sleep(0.01)
    return found[0]


def test_a_job_runs_in_a_process_of_its_own_and_is_reported_gone_once(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            running = await executor.submit(job("one", sleep_on, tmp_path / "here"))
            assert executor.running() == {"one": running}
            assert (await appears(tmp_path, "here")).read_text() == str(running.pid)
            assert running.pid != os.getpid()
            assert processes.is_alive(running.pid, running.started)
            assert os.getsid(running.pid) == running.pid
            executor.cancel("one")
            assert await executor.next_gone() == "one"
            assert executor.running() == {}
            with anyio.move_on_after(0.2):
                raise AssertionError(await executor.next_gone())

    anyio.run(main)


def test_jobs_that_end_killed_or_by_themselves_are_all_reported(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            for number in range(3):
                await executor.submit(job(f"quick{number}", write, tmp_path / f"quick{number}", "done"))
            await executor.submit(job("killed", sleep_on, tmp_path / "killed"))
            await appears(tmp_path, "killed")
            executor.cancel("killed", kill=True)
            gone = {await executor.next_gone() for _ in range(4)}
        assert gone == {"quick0", "quick1", "quick2", "killed"}
        assert [(tmp_path / f"quick{number}").read_text() for number in range(3)] == ["done"] * 3

    anyio.run(main)


def test_cancelling_what_does_not_run_does_nothing(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            executor.cancel("nobody")
            await executor.submit(job("quick", write, tmp_path / "quick", "done"))
            await executor.next_gone()
            executor.cancel("quick", kill=True)

    anyio.run(main)


def test_what_a_job_and_its_children_print_goes_to_its_log(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            await executor.submit(job("talker", speak, "hello"))
            await executor.submit(job("refused", refuse, "that is not allowed"))
            assert {await executor.next_gone(), await executor.next_gone()} == {"talker", "refused"}

    anyio.run(main)
    assert (tmp_path / "logs" / "talker.log").read_text() == "hello\nchild hello\n"
    assert (tmp_path / "logs" / "refused.log").read_text() == f"{HERE}:refuse: that is not allowed\n"


def test_jobs_outlive_the_executor_and_its_successor_adopts_them(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as first:
            running = await first.submit(job("long", sleep_on, tmp_path / "here"))
            await appears(tmp_path, "here")
        assert processes.is_alive(running.pid, running.started)
        async with adapter(str(tmp_path / "logs")) as second:
            assert second.adopt("long", running)
            assert second.running() == {"long": running}
            second.cancel("long")
            assert await second.next_gone() == "long"

    anyio.run(main)


def test_a_process_that_got_a_dead_jobs_pid_is_not_adopted_and_not_touched(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            running = await executor.submit(job("long", sleep_on, tmp_path / "here"))
            await appears(tmp_path, "here")
            assert not executor.adopt("other", Running(running.pid, running.started - 1))
            executor.cancel("other", kill=True)
            assert processes.is_alive(running.pid, running.started)
            executor.cancel("long")
            assert await executor.next_gone() == "long"

    anyio.run(main)


def test_orphans_of_a_killed_job_are_ended_and_other_jobs_are_not(adapter: Adapter, tmp_path: Path) -> None:
    async def main() -> None:
        async with adapter(str(tmp_path / "logs")) as executor:
            other = await executor.submit(job("other", sleep_on, tmp_path / "other"))
            await appears(tmp_path, "other")
            await executor.submit(job("parent", leave_daemon, tmp_path / "daemon"))
            said = await appears(tmp_path, "daemon-*[0-9]")
            orphan = psutil.Process(int(said.name.partition("-")[2]))
            executor.cancel("parent", kill=True)
            assert await executor.next_gone() == "parent"
            assert orphan.is_running()
            await executor.end_orphans()
            assert not orphan.is_running()
            assert processes.is_alive(other.pid, other.started)
            executor.cancel("other")
            assert await executor.next_gone() == "other"

    anyio.run(main)


# What only the local one promises


def servers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "forkserver" in " ".join(words_of(child))]


def test_a_killed_server_is_replaced_and_its_jobs_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with local(str(tmp_path / "logs")) as executor:
            before = await executor.submit(job("before", sleep_on, tmp_path / "before"))
            await appears(tmp_path, "before")
            for server in servers():
                server.kill()
            after = await executor.submit(job("after", sleep_on, tmp_path / "after"))
            assert (await appears(tmp_path, "after")).read_text() == str(after.pid)
            assert processes.is_alive(before.pid, before.started)
            executor.cancel("before")
            executor.cancel("after")
            assert {await executor.next_gone(), await executor.next_gone()} == {"before", "after"}

    anyio.run(main)


FAILS = f"""
import sys, anyio
from tapeout.engine import Job
from tapeout.engine.local import LocalExecutor
from {HERE} import appears, sleep_on
from pathlib import Path

async def main():
    folder = Path(sys.argv[1])
    async with LocalExecutor("{HERE}", sys.argv[1]) as executor:
        await executor.submit(Job("long", "{HERE}:sleep_on", (str(folder / "here"),)))
        await appears(folder, "here")
        raise ValueError("the floor broke")

anyio.run(main)
"""


def test_an_error_ends_the_program_at_once_though_jobs_run_and_is_seen(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILS, str(tmp_path)], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    os.kill(int((tmp_path / "here").read_text()), signal.SIGKILL)
    assert done.returncode == 1
    assert "the floor broke" in done.stderr


def test_a_start_that_fails_gives_the_standard_streams_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("tapeout.engine.local.forkserver.ensure_running", broken)

    async def main() -> None:
        with pytest.raises(OSError, match="no more processes"):
            async with LocalExecutor(HERE, str(tmp_path / "logs")):
                raise AssertionError("it started")

    anyio.run(main)
    os.write(2, b"to the terminal\n")
    assert capfd.readouterr().err == "to the terminal\n"
