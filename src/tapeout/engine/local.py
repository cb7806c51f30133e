"""Jobs as processes of this machine, forked from a server that has everything imported.

The server is the standard library's (`multiprocessing`, method `forkserver`): a job starts in milliseconds, shares the
imported modules' memory with the others, and outlives the floor that asked for it.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
import anyio.to_thread

from tapeout.base import processes
from tapeout.base.errors import EnvironmentProblem, NotFound, TapeoutError
from tapeout.engine import Job, Running

_SAFE_PATH = "PYTHONSAFEPATH"

START_TRIES = 5
RETRY_SECONDS = 0.1

LOOK_SECONDS = 1.0
"""How often a process is looked at where the system has no descriptors of processes (macOS)."""


class LocalExecutor:
    """Runs jobs on this machine. Use as an async context manager; leaving it leaves the jobs running."""

    def __init__(self, preload: str, log_folder: str) -> None:
        """
        Args:
            preload: module that the fork server imports: everything that jobs need.
            log_folder: where the output of jobs goes, one file a job.
        """
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preload])
        self._log_folder = log_folder
        self._server_log = os.path.join(log_folder, "server.log")
        self._resources = contextlib.ExitStack()
        self._running: dict[str, Running] = {}
        self._owned: dict[str, ForkServerProcess] = {}
        self._send_gone, self._receive_gone = anyio.create_memory_object_stream[str](1024)
        self._starting = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        os.makedirs(self._log_folder, exist_ok=True)
        processes.become_subreaper()
        with contextlib.ExitStack() as resources:  # should the start fail, the error must reach the terminal
            resources.enter_context(_private_output(self._server_log))
            resources.enter_context(_safe_imports())
            await anyio.to_thread.run_sync(forkserver.ensure_running)
            self._resources = resources.pop_all()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:  # the group raises what ended the block
            self._send_gone.close()
            self._receive_gone.close()
            _forget_owned(self._owned)
            self._resources.close()

    async def submit(self, job: Job) -> Running:
        """Start a job."""
        async with self._starting:
            process = await self._start(job)
            self._owned[job.id] = process
            running = _running(process)
            self._watch(job.id, running)
            return running

    async def _start(self, job: Job) -> ForkServerProcess:
        """Fork the job's process; a server that was killed meanwhile is replaced."""
        log = os.path.join(self._log_folder, f"{job.id}.log")
        for _ in range(START_TRIES):
            process = self._context.Process(target=run_job, args=(job.entry, job.arguments, log), name=job.id)
            try:
                await anyio.to_thread.run_sync(process.start)
            except (OSError, EOFError):
                await anyio.sleep(RETRY_SECONDS)
                continue
            return process
        raise EnvironmentProblem(f"processes cannot be started: see {self._server_log}")

    def adopt(self, job_id: str, process: Running) -> bool:
        """Watch a job that an earlier executor started; False if it no longer runs."""
        if not processes.is_alive(process.pid, process.started):
            return False
        self._watch(job_id, process)
        return True

    def running(self) -> Mapping[str, Running]:
        """The jobs that run now."""
        return self._running

    async def next_gone(self) -> str:
        """Wait until a job's process is gone; returns the job's id."""
        return await self._receive_gone.receive()

    def cancel(self, job_id: str, *, kill: bool = False) -> None:
        """Ask a job to stop (SIGTERM), or kill it. Unknown ids are ignored."""
        process = self._running.get(job_id)
        if process is not None and processes.is_alive(process.pid, process.started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL if kill else signal.SIGTERM)

    async def end_orphans(self) -> None:
        """End what killed jobs left running: as subreaper this process has inherited it."""
        async with self._starting:  # what is being started is not known yet, and would be taken for an orphan
            keep = {running.pid for running in self._running.values()} | _helper_pids()
            await anyio.to_thread.run_sync(processes.end_descendants, 0.5, keep)

    def _watch(self, job_id: str, process: Running) -> None:
        assert self._tasks is not None
        self._running[job_id] = process
        self._tasks.start_soon(self._wait, job_id, process)

    async def _wait(self, job_id: str, process: Running) -> None:
        await _wait_until_gone(process)
        owned = self._owned.pop(job_id, None)
        if owned is not None:
            await anyio.to_thread.run_sync(owned.join, 5.0)
        self._running.pop(job_id, None)
        await self._send_gone.send(job_id)


def _running(process: ForkServerProcess) -> Running:
    assert process.pid is not None
    try:
        return Running(process.pid, processes.start_time(process.pid))
    except NotFound:  # it is gone already
        return Running(process.pid, 0.0)


async def _wait_until_gone(process: Running) -> None:
    if not hasattr(os, "pidfd_open"):
        while processes.is_alive(process.pid, process.started):  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(LOOK_SECONDS)
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # Opened by number: make sure that it is still the same process.
        if processes.is_alive(process.pid, process.started):
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _private_output(log: str) -> Iterator[None]:
    """For the time of the block, `sys.stdout` goes where it went, and what our children print goes to a log.

    The server and its helper may outlive us: they must not keep our terminal or pipe open. `multiprocessing` passes on
    the descriptor of `sys.stderr`, so that goes to the log as well.
    """
    stdout = sys.stdout
    stdout.flush()
    sys.stderr.flush()
    originals = os.dup(1), os.dup(2)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout = open(  # noqa: SIM115
        originals[0], "w", buffering=1, encoding=stdout.encoding, errors=stdout.errors, closefd=False
    )
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # nobody reads it any more, or the disk is full
            sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout = stdout
        for descriptor, original in zip((1, 2), originals, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(sink)


@contextlib.contextmanager
def _safe_imports() -> Iterator[None]:
    """Python programs that we start in the block do not import what lies in the current folder: the server is started
    with `-c`, in the user's repository, where agents' files land."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def _helper_pids() -> set[int]:
    """Children of this process that serve `multiprocessing` itself."""
    servers = (forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid)  # type: ignore[attr-defined]
    return {pid for pid in servers if pid is not None}


def _forget_owned(owned: dict[str, ForkServerProcess]) -> None:
    """Keep `multiprocessing` from waiting, at exit, for jobs that shall go on without us."""
    children = multiprocessing.process._children  # type: ignore[attr-defined]
    for process in owned.values():
        children.discard(process)


def run_job(entry: str, arguments: tuple[str, ...], log: str) -> None:
    """Runs in the job's own process: its own session, its output in the log, errors as one line."""
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    module, _, function = entry.partition(":")
    try:
        getattr(importlib.import_module(module), function)(*arguments)
    except TapeoutError as error:
        sys.stderr.write(f"{entry}: {error.message}\n")
        sys.exit(error.exit_code)
