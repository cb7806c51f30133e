"""Fixtures: the agent program, the model, and the repository to work on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install_agents import install_codex
from tests.support.model_server import ModelServer


@pytest.fixture(scope="session")
def codex_acp() -> Path:
    """The native `codex-acp` program."""
    return install_codex()


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A scripted model on 127.0.0.1."""
    with ModelServer() as server:
        yield server
