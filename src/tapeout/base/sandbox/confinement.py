"""How whoever starts a program lets it be confined, without knowing by what."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tapeout.base.sandbox.launch import Launch, Sandbox
from tapeout.base.sandbox.nothing import Nothing
from tapeout.base.sandbox.policy import Policy


class Confinement(Protocol):
    """Turns a command into one that runs confined."""

    def launch(self, argv: Sequence[str], cwd: str) -> AbstractContextManager[Launch]:
        """How to start it; to be left when the program has ended."""
        ...


@dataclass(frozen=True)
class Confined:
    """Programs run in a sandbox, all under one policy."""

    sandbox: Sandbox
    policy: Policy

    def launch(self, argv: Sequence[str], cwd: str) -> AbstractContextManager[Launch]:
        """As any confinement."""
        return self.sandbox.launch(self.policy, argv, cwd)


UNCONFINED: Confinement = Confined(Nothing(), Policy())
"""Programs run with our rights."""
