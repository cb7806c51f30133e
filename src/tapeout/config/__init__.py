"""`tapeout.toml`: what a repository asks of its floor, its agents and its gate.

The file that counts is the one on the *target branch*, read from git: a change never chooses its own checks.
"""

from tapeout.config.budget import AttemptBudget, FloorBudget, IssueBudget, LaneBudget, ProviderConfig
from tapeout.config.file import CONFIG_FILE, Config, parse_config
from tapeout.config.gate import CheckConfig, GateConfig, PrivilegedConfig
from tapeout.config.isolation import SandboxConfig, WorkspaceConfig
from tapeout.config.lanes import LaneConfig
from tapeout.config.prompt import PromptConfig
from tapeout.config.queue import QueueConfig
from tapeout.config.tables import AgentConfig, FloorConfig, ProjectConfig, TrackerConfig
from tapeout.config.values import Model, parse_duration, parse_size

__all__ = [
    "CONFIG_FILE",
    "AgentConfig",
    "AttemptBudget",
    "CheckConfig",
    "Config",
    "FloorBudget",
    "FloorConfig",
    "GateConfig",
    "IssueBudget",
    "LaneBudget",
    "LaneConfig",
    "Model",
    "PrivilegedConfig",
    "ProjectConfig",
    "PromptConfig",
    "ProviderConfig",
    "QueueConfig",
    "SandboxConfig",
    "TrackerConfig",
    "WorkspaceConfig",
    "parse_config",
    "parse_duration",
    "parse_size",
]
