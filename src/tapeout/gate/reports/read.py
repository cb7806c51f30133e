"""From what a check left to its report: the file that it wrote in this run, or what it printed.

What may go wrong: the file is a link or a pipe, lies outside the checkout, was there before the run, is huge; what was
printed is cut. All of that is `Unreadable`, and fails the check.
"""

import contextlib
import os
import stat

from tapeout.base.processes import Captured
from tapeout.config import CheckConfig
from tapeout.gate.reports.junit import read_junit
from tapeout.gate.reports.lines import read_lines
from tapeout.gate.reports.model import Report, Unreadable
from tapeout.gate.reports.sarif import read_sarif
from tapeout.gate.reports.shims import read_cargo, read_eslint, read_go_test

LARGEST = 32 * 1024 * 1024
"""Bytes of a report. A larger one is not read."""

Stamp = tuple[int, ...] | None

_READERS = {
    "sarif": read_sarif, "junit": read_junit, "lines": read_lines, "eslint": read_eslint, "cargo": read_cargo,
    "go-test": read_go_test,
}  # fmt: skip


def report_stamp(check: CheckConfig, checkout: str) -> Stamp:
    """Which report file there is before the check runs: one of the same identity afterwards is not of that run."""
    if check.report_file is None:
        return None
    try:
        state = os.lstat(os.path.join(checkout, check.report_file))
    except OSError:
        return None
    return _identity(state)


def read_report(check: CheckConfig, captured: Captured, checkout: str, before: Stamp) -> Report:
    """The report of a check that has run.

    Raises:
        Unreadable: there is none that can be believed.
    """
    if check.report == "exit":
        return Report()
    if check.report_file is not None:
        text = _file(checkout, check.report_file, before)
    elif captured.cut_bytes:
        raise Unreadable(f"{captured.cut_bytes} bytes of it are missing: write it to a report_file")
    else:
        text = captured.output
    return _READERS[check.report](text, checkout)


def _identity(state: os.stat_result) -> tuple[int, ...]:
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _file(checkout: str, name: str, before: Stamp) -> str:
    with contextlib.ExitStack() as stack:
        try:
            descriptor = _open(stack, checkout, name)
        except FileNotFoundError as error:
            raise Unreadable(f"{name} was not written") from error
        except OSError as error:
            raise Unreadable(f"{name} cannot be opened: {error.strerror}") from error
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise Unreadable(f"{name} is no file")
        if _identity(state) == before:
            raise Unreadable(f"{name} was there before the check ran, and it did not write it")
        if state.st_size > LARGEST:
            raise Unreadable(f"{name} has {state.st_size} bytes; at most {LARGEST} are read")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(LARGEST).decode("utf-8-sig", "replace")


def _open(stack: contextlib.ExitStack, checkout: str, name: str) -> int:
    """Open a file without following any link below the checkout, nor waiting for a pipe."""
    *folders, last = name.split("/")
    at = os.open(checkout, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, at)
    for folder in folders:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        stack.callback(os.close, at)
    found = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    stack.callback(os.close, found)
    return found
