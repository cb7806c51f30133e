"""A request to end is never lost, wherever it meets the program."""

import signal
import subprocess
import sys

import pytest

from tapeout.base.leaving import leave_when_asked

CALLBACKS = {
    "at a fork": "os.register_at_fork(after_in_parent=ask); subprocess.run(['true'], preexec_fn=lambda: None)",
    "in a finaliser": "type('Dropped', (), {'__del__': lambda self: ask()})()",
    "in plain code": "ask()",
}

PROGRAM = f"""
import os, signal, subprocess, time
from {leave_when_asked.__module__} import leave_when_asked

def ask():
    signal.raise_signal(signal.SIGTERM)

leave_when_asked()
try:
    CALLBACK
    time.sleep(60)
finally:
    print("cleaned up")
"""


@pytest.mark.parametrize("where", CALLBACKS)
def test_it_ends_in_order_and_silently(where: str) -> None:
    program = PROGRAM.replace("CALLBACK", CALLBACKS[where])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "cleaned up\n", "")


def test_other_exceptions_of_callbacks_are_still_told() -> None:
    program = PROGRAM.replace("CALLBACK", "type('Dropped', (), {'__del__': lambda self: 1 / 0})(); ask()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert "ZeroDivisionError" in done.stderr
