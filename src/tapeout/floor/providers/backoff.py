"""How long to wait before trying again: exponential backoff with full jitter. Pure.

The wait is drawn evenly between nothing and a limit that doubles with each failure. Drawing from the whole span spreads
those who failed together better than adding a little noise does: Marc Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015.
"""


def full_jitter(failures: int, draw: float, *, base: float, cap: float) -> float:
    """Seconds to wait.

    Args:
        failures: in a row, from 1.
        draw: a random number from 0 up to 1.
        base: the limit after the first failure, seconds.
        cap: the highest limit, seconds.
    """
    doublings = min(max(failures - 1, 0), 62)
    return draw * min(cap, base * 2.0**doublings)
