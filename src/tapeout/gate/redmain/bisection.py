"""Which commit made main red. Pure."""

from collections.abc import Callable


def first_red(count: int, is_red: Callable[[int], bool]) -> int:
    """The number of a red commit whose predecessor is green; with one change from green to red, the commit that did it.

    Asks about at most log2(count) commits.

    Args:
        count: of commits, the oldest is number 0 and green, the newest is red; at least 2.
        is_red: judges the commit of that number.
    """
    green, red = 0, count - 1
    while red - green > 1:
        middle = (green + red) // 2
        if is_red(middle):
            red = middle
        else:
            green = middle
    return red
