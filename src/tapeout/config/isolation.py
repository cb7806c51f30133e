"""The tables of `tapeout.toml` about what keeps workers apart: `[sandbox]` and `[workspace]`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tapeout.config.values import Hosts, Model, Seconds, Size

_Texts = Annotated[tuple[str, ...], Field(strict=False)]


class SandboxConfig(Model):
    """`[sandbox]`: what agents may do, and the commands of `[workspace]`. `[gate] sandbox` is about checks."""

    use: Literal["required", "preferred", "off"] = "preferred"
    """`required`: where there is no sandbox nothing starts. `preferred`: then agents run with your rights. `off`: they
    always do."""

    network: Literal["all", "list", "model", "none"] = "all"
    """What agents reach: `all`; `list`: what `allow` names, and their model; `model`: their model only; `none`. Other
    than `all` needs bubblewrap: elsewhere nothing starts."""

    allow: Hosts = ()
    """With `network = "list"`: hosts, such as `"pypi.org"`, `"*.npmjs.org"` or `"127.0.0.1:5432"`. Without a port, 80
    and 443."""

    home: _Texts = ()
    """Globs of files and folders in your home that agents get a private copy of, such as `"~/.gitconfig"`. Their own
    login and settings need no entry."""

    readable: _Texts = ()
    """Globs of files and folders that agents may read although they lie in your home. The programs on `PATH` need no
    entry."""

    writable: _Texts = ()
    """Globs of files and folders that all agents share and may write, such as `"~/.cache/uv"`."""

    memory: Size | None = None
    """How much memory a worker's agent may use with all that it starts; by default three quarters of the machine's."""

    processes: Annotated[int, Field(ge=1)] = 1000
    """How many processes a worker's agent may have."""

    disk: Size = 20 * 1024**3
    """How much a workspace may take on the disk."""


class WorkspaceConfig(Model):
    """`[workspace]`: what a workspace holds when an agent starts in it."""

    overlay: Literal["auto", "always", "never"] = "auto"
    """Whether a workspace is a layer over one checkout that all share, instead of a copy: `auto` does it for a
    repository of more than 2,000 files. Needs bubblewrap; without it a workspace is always a copy."""

    setup: str | None = None
    """A command for `sh -c` that prepares a workspace, such as `"uv sync --frozen"`. It runs in the agent's sandbox.
    When it fails nothing starts: that is not the issue's fault."""

    setup_inputs: _Texts = ()
    """Globs of the files that `setup` depends on, such as `"uv.lock"`. What it makes is used again while the command
    and these files are the same. Empty: it runs for every workspace."""

    setup_outputs: _Texts = ()
    """Files and folders that `setup` makes, such as `".venv"`: what is kept and put into later workspaces."""

    setup_timeout: Seconds = 600.0
    """How long `setup` may take, and `teardown`."""

    teardown: str | None = None
    """A command for `sh -c` that runs when an attempt has ended, such as one that drops its database. What it says does
    not count."""

    @field_validator("setup_outputs")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not path or path.startswith("/") or {"", ".", "..", ".git"} & set(path.rstrip("/").split("/")):
                raise ValueError(f"{path!r} should be a path below the checkout, such as .venv")
        return value
