"""No sandbox: the program runs with our rights, within limits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tapeout.base.sandbox.launch import Launch, Sandbox, apply_limits
from tapeout.base.sandbox.policy import Policy


class Nothing(Sandbox):
    """Only the limits of a policy are kept."""

    name = "none"
    lacks = ("files", "processes", "network")

    @contextmanager
    def launch(self, policy: Policy, argv: Sequence[str], cwd: str) -> Iterator[Launch]:
        """As any sandbox."""
        yield Launch(list(argv), apply_limits(policy.limits))
