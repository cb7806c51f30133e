"""A repository, the `tapeout` command, and MCP clients that start the real server."""

from tests.cli.conftest import Cli, cli, repository

__all__ = ["Cli", "cli", "repository"]
