"""What an agent may do in its workspace: the sandbox's policy for one worker."""

import glob
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tapeout
from tapeout.agents import AgentSpec
from tapeout.base.paths import StatePaths
from tapeout.base.sandbox import Limits, Overlay, Policy, toolchain_folders
from tapeout.base.sandbox.place import NEVER_HIDDEN
from tapeout.base.sandbox.policy import is_below
from tapeout.base.sandbox.surroundings import PRIVATE, RESOLVER, TEMPORARY, homes, named_by, usual_memory
from tapeout.base.sandbox.toolchain import secret_files
from tapeout.config import Config
from tapeout.workspaces import Workspace


@dataclass(frozen=True)
class Surroundings:
    """What lies around a workspace and is not an agent's business."""

    home: str
    """The user's home, as the agent's environment names it."""
    state: str
    """Tapeout's state directory, of all repositories."""
    checkout: Sequence[str]
    """The user's work tree, and its git directory."""


@dataclass(frozen=True)
class Confines:
    """A policy, and what the environment has to say so that programs find what they need under it."""

    policy: Policy
    env: Mapping[str, str] = field(default_factory=dict)


def agent_policy(
    spec: AgentSpec,
    workspace: Workspace,
    env: Mapping[str, str],
    *,
    config: Config,
    around: Surroundings,
    replaces: bool,
) -> Confines:
    """What an agent may do in its workspace.

    Args:
        env: its whole environment.
        replaces: whether the sandbox can put a folder in the place of another. If not, `HOME` and what names something
            in the private home are changed instead.
    """
    at_home = {path for path in {around.home, *homes()} if _is_home(path)}
    covered = [*at_home, around.state, *around.checkout]
    path = os.pathsep.join([env.get("PATH", ""), *_programs_named(spec.command)])
    tools = toolchain_folders(path, [*covered, *TEMPORARY])
    named = [path for pattern in config.sandbox.readable for path in glob.glob(os.path.expanduser(pattern))]
    shared = [path for pattern in config.sandbox.writable for path in glob.glob(os.path.expanduser(pattern))]
    private_home = replaces and around.home in at_home
    moved = {} if private_home else _moved(env, around.home, workspace.home)
    hidden = [around.state, *around.checkout, *PRIVATE]
    replaced = [(folder, workspace.tmp) for folder in TEMPORARY]
    if replaces:
        replaced += [(folder, workspace.home) for folder in sorted(at_home)]
    else:
        hidden += sorted(at_home)
    policy = Policy(
        writable=(workspace.code, workspace.tmp, workspace.home, *shared),
        hidden=(*hidden, *secret_files(tools)),
        readable=(
            *tools,
            os.path.dirname(os.path.abspath(tapeout.__file__)),
            *named,
            *(
                value
                for value in named_by(env, [*covered, *TEMPORARY])
                if not _copied_to(value, around.home, workspace.home)
                and not is_below(os.path.realpath(value), os.path.realpath(around.state))
            ),
            *((os.path.realpath(RESOLVER),) if config.sandbox.network == "all" else ()),
        ),
        replaced=tuple(replaced),
        overlays=_overlays(workspace),
        network="all" if config.sandbox.network == "all" else "loopback",
        limits=limits_for(config),
    )
    return Confines(policy, moved)


def _overlays(workspace: Workspace) -> tuple[Overlay, ...]:
    layer = workspace.layer
    return (Overlay(workspace.code, layer.tree, workspace.written, workspace.scratch),) if layer is not None else ()


def door_policy(workspace: Workspace, paths: StatePaths, config: Config, around: Surroundings, path: str) -> Policy:
    """What a `tapeout` command that an agent asks for may do outside of the agent's sandbox (`door`): use the tracker,
    and the files that the agent itself may use; those of a workspace that is a layer only to read."""
    layer = workspace.layer
    hidden = [*(home for home in {around.home, *homes()} if _is_home(home)), *PRIVATE]
    hidden += [around.state, *TEMPORARY]
    others = [paths.workspaces, paths.trust, paths.layers, paths.transcripts, paths.terminals, paths.evidence]
    others += [paths.environments, paths.gate, paths.gate_cache, paths.logs]
    tools = toolchain_folders(os.pathsep.join([path, *_programs_named(())]), [*hidden, *around.checkout])
    return Policy(
        writable=(paths.root, workspace.tmp, *(() if layer else (workspace.code,))),
        hidden=(*hidden, *others, *secret_files(tools)),
        readable=(*tools, os.path.dirname(os.path.abspath(tapeout.__file__)), *around.checkout, paths.hub),
        overlays=(Overlay(workspace.code, layer.tree, workspace.written),) if layer else (),
        network="loopback",
        limits=limits_for(config),
    )


def limits_for(config: Config) -> Limits:
    """How much a worker's agent may use."""
    return Limits(memory=config.sandbox.memory or usual_memory(), processes=config.sandbox.processes)


def _is_home(path: str) -> bool:
    """Whether a folder can be replaced as a home: some accounts have none, or one that belongs to the system."""
    return os.path.isabs(path) and os.path.isdir(path) and os.path.realpath(path) not in NEVER_HIDDEN


def _programs_named(command: Sequence[str]) -> Iterator[str]:
    """The folders of the programs that a command names by their whole path, and of the Python that runs Tapeout."""
    yield os.path.dirname(sys.executable)
    for word in command:
        if os.path.isabs(word) and os.access(word, os.X_OK) and os.path.isfile(word):
            yield os.path.dirname(word)


def _moved(env: Mapping[str, str], home: str, private: str) -> dict[str, str]:
    """The variables that have to name the private home instead: `HOME`, and those that name something that was copied
    to it, such as `CODEX_HOME`."""
    moved = {"HOME": private}
    for name, value in env.items():
        place = _copied_to(value, home, private) if name != "HOME" else ""
        if place:
            moved[name] = place
    return moved


def _copied_to(path: str, home: str, private: str) -> str:
    """Where the copy of something in the user's home is; empty if there is none."""
    if not home or not os.path.isabs(path) or not is_below(path, home):
        return ""
    place = os.path.join(private, os.path.relpath(path, home))
    return place if os.path.exists(place) else ""
