"""Where attempts and gate runs execute: a small port, `Executor`, and its adapters.

A job is a function named by `module:function` with text arguments; it owns its process and reports to the tracker
only, so an executor need not carry results. It starts jobs, says which still run, and tells when one is gone; whether
the job did what it should is read in the tracker.

What may go wrong: the process that started a job dies (the job goes on, and its successor can `adopt` it), the job is
killed (it is reported as gone), a pid is used again by another process (identity is pid and start time).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A piece of work for a process of its own."""

    id: str
    """Unique among the jobs that run."""
    entry: str
    """`module:function`"""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """The process of a job."""

    pid: int
    started: float
    """Start time as `tapeout.base.processes.start_time` gives it."""


class Executor(Protocol):
    """Starts jobs and notices their end."""

    async def submit(self, job: Job) -> Running:
        """Start a job."""

    def adopt(self, job_id: str, process: Running) -> bool:
        """Watch a job that an earlier executor started; False if it no longer runs."""

    def running(self) -> Mapping[str, Running]:
        """The jobs that run now."""

    async def next_gone(self) -> str:
        """Wait until a job's process is gone; returns the job's id."""

    def cancel(self, job_id: str, *, kill: bool = False) -> None:
        """Ask a job to stop (SIGTERM), or kill it. Unknown ids are ignored."""

    async def end_orphans(self) -> None:
        """End what killed jobs left running."""
