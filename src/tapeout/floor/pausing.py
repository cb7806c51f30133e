"""A pause of one attempt: its processes are stopped where they are, and its clock stands still.

Stopped and not asked to stop: it takes effect in the middle of a long turn, costs nothing meanwhile, and the session
goes on from exactly there. What may go wrong: a connection to the model's provider does not survive a long pause; the
agent then asks again, or fails, and a fresh attempt goes on from the saved work.
"""

import time
from collections.abc import Callable

import anyio


def _nothing() -> None: ...


class Pause:
    """Whether an attempt is paused."""

    def __init__(
        self,
        stop: Callable[[], None] = _nothing,
        go_on: Callable[[], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            stop: stops the attempt's processes.
            go_on: lets them go on.
            clock: monotonic seconds.
        """
        self._stop = stop
        self._go_on = go_on
        self._clock = clock
        self._since: float | None = None
        self._lost = 0.0
        self._ended = anyio.Event()

    @property
    def is_on(self) -> bool:
        """Whether it is paused now."""
        return self._since is not None

    def now(self) -> float:
        """Monotonic seconds without those that were spent in pauses."""
        return (self._clock() if self._since is None else self._since) - self._lost

    def begin(self) -> None:
        """Pause; does nothing if it is paused."""
        if self._since is None:
            self._stop()
            self._since = self._clock()

    def end(self) -> None:
        """Go on; does nothing if it is not paused."""
        if self._since is not None:
            self._lost += self._clock() - self._since
            self._since = None
            self._go_on()
            self._ended.set()
            self._ended = anyio.Event()

    async def over(self) -> None:
        """Wait until it is not paused."""
        while self._since is not None:
            await self._ended.wait()
