"""The commands of the program: each module of this package has one as `COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from ledgerline.journal import Journal


class Command(NamedTuple):
    """A name on the command line, its options and what it does."""

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    """Adds the command's own options."""
    run: Callable[[Journal, argparse.Namespace], str]
    """Returns the text to show."""


def discover() -> list[Command]:
    """All commands, sorted by the names of their modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").COMMAND for name in names]
