"""Short work that is not cut in two by a request to end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that ask this process to end take effect after the block, not in it.

    They stay handled, not blocked: a program that is started in the block would inherit a block. Outside the main
    thread, where Python runs no handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.getsignal(number) for number in _REQUESTS}
    known = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in known:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])
