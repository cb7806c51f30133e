"""A confinement whose programs reach the hosts of a list."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tapeout.base.egress.gateway import Gateway
from tapeout.base.sandbox import Confinement, Launch


@dataclasses.dataclass(frozen=True)
class Filtered:
    """Programs of another confinement, in which they have a network of their own, with a gateway out of it."""

    inner: Confinement
    gateway: Gateway

    @contextmanager
    def launch(self, argv: Sequence[str], cwd: str) -> Iterator[Launch]:
        """As any confinement."""
        with self.gateway.serve(argv) as (command, channel), self.inner.launch(command, cwd) as launch:
            yield dataclasses.replace(launch, pass_fds=(*launch.pass_fds, channel))
