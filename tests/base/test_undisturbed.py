"""A request to end waits for the block, and is not lost."""

import signal
import subprocess
import sys
import threading

import pytest

from tapeout.base.undisturbed import undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_takes_effect_after_the_block(number: signal.Signals) -> None:
    program = (
        "import signal; from tapeout.base.undisturbed import undisturbed\n"
        "with undisturbed():\n"
        f"    signal.raise_signal({int(number)}); signal.raise_signal({int(number)}); print('done', flush=True)\n"
        "print('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "done\n"
    assert done.returncode == -number


def test_what_is_ignored_stays_ignored_and_handlers_come_back() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with undisturbed():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_of_the_block_comes_through() -> None:
    with pytest.raises(ValueError, match="mine"), undisturbed():
        raise ValueError("mine")


def test_in_another_thread_it_changes_nothing() -> None:
    seen: list[object] = []

    def run() -> None:
        with undisturbed():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
