"""The tables of `tapeout.toml` about the project, the floor, the tracker and the agents."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tapeout.config.context import Share
from tapeout.config.values import Hosts, Model, Name, Seconds


class ProjectConfig(Model):
    """`[project]`"""

    branch: str = "main"
    """The target branch: what changes land on."""

    publish: Annotated[str, Field(pattern=r"^(branch|none|(remote|pull-request):[^\s:]+|pull-request)$")] = "branch"
    """Where landed commits go from the hub: `branch` fast-forwards the branch of the user's repository when that is
    safe, `remote:NAME` pushes to that remote of it, `pull-request:NAME` proposes them there through `gh` (NAME is
    `origin` if it is left out), `none` leaves them in the hub."""

    publish_notes: bool = False
    """With `remote:NAME` or `pull-request`: push the evidence (`refs/notes/tapeout`) too. It holds commands of checks
    and ids of issues, which not every remote should see."""


class FloorConfig(Model):
    """`[floor]`"""

    workers: Annotated[int, Field(ge=1, le=256)] = 8
    """How many attempts run at once."""

    agent: Name = "claude"
    """The agent that works on issues which do not name one."""

    agents: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """In place of `agent`, several: the first whose provider is to be had takes the issue. After `sessions` failed
    sessions of one it is the next one's turn."""

    permissions: Literal["allow", "deny", "ask"] = "allow"
    """How an agent's permission requests are answered. Its copy of the code is its own, so the default is `allow`. With
    `ask` each request is a question to people (`tapeout questions`); without an answer within `answer_timeout` it is
    refused, and the agent goes on."""

    answer_timeout: Seconds = 600.0
    """How long an agent waits for a person's answer to a question."""

    refine_rounds: Annotated[int, Field(ge=0, le=10)] = 2
    """How often a failed verdict goes back to the same session. Repair gains come mostly in the first two rounds
    (arXiv 2604.10508)."""

    sessions: Annotated[int, Field(ge=1, le=10)] = 2
    """How many sessions may fail before a person is asked; of each agent, where a chain of agents may work on the
    issue. A fresh start restores what a long session lost (arXiv 2506.18403). An agent that went in circles in two of
    them has no more."""

    interruptions: Annotated[int, Field(ge=1, le=20)] = 3
    """How many attempts may end through no fault of the work (a killed agent, a merge conflict) before a person is
    asked."""

    context_limit: Share = 0.4
    """How full the context window of an agent may get, as a part of it. At the limit the session hands over to a fresh
    one. 0.4 is a convention, not a finding: `tapeout context` shows what your own data says."""

    model_context_limits: dict[str, Share] = Field(default_factory=dict)
    """How full the context of a model may get, by its name, as in `{ "gpt-5*" = 0.3 }`; the first that fits counts. Of
    the limits of the agent, its model and the lane the lowest holds; `context_limit` is for those that have none."""

    context_ceiling: Share = 0.6
    """How full it may get whatever happens: above it the agent is killed, and the handoff is compiled from its work.
    Agents shorten their context by themselves from about 0.8 on; it has to be well below that."""

    context_grace: Seconds = 10.0
    """How long a turn that reached the limit may take to end by itself before it is cancelled: time to say goodbye, not
    to go on. Each request to a model adds some 2,000 tokens."""

    handoff_timeout: Seconds = 120.0
    """How long a session that reached the limit may take to write its handoff."""

    handoffs: Annotated[int, Field(ge=1, le=100)] = 10
    """How many sessions of an issue may hand over before a person is asked to split it: what does not fit into ten
    context windows is no single issue. No measurement is behind the number: it only has to be finite."""

    lease: Annotated[Seconds, Field(ge=1, le=3600)] = 60.0
    """How long a claim lives without renewal, a second to an hour. It is renewed three times in that time."""

    turn_timeout: Seconds = 1800.0
    """How long one turn of an agent may take."""

    stall_after: Annotated[Seconds, Field(ge=1)] = 600.0
    """After how long without any sign of life (output, use of the processor, changed files) a turn counts as stalled.
    Its agent is told once; if it stalls again a fresh session takes over."""

    start_timeout: Seconds = 60.0
    """How long an agent may take to start a session."""

    @model_validator(mode="after")
    def _one_way_to_name_agents(self) -> "FloorConfig":
        if self.agents and "agent" in self.model_fields_set:
            raise ValueError("agent and agents: give one of them")
        return self


class TrackerConfig(Model):
    """`[tracker]`"""

    remote: Annotated[str, Field(pattern=r"^[^-\s].*$")] | None = None
    """The remote through which clones exchange issues; by default `origin`, or the only one that there is."""

    sync: Seconds | None = None
    """How often a running floor exchanges issues with the remote; not at all by default."""

    claims: Literal["local", "shared"] = "local"
    """`shared`: who takes an issue also takes a lease on the remote, so that of several floors that share only that
    remote one works on it."""


class AgentConfig(Model):
    """`[agents.NAME]`: an agent of your own, or changes to one that the catalog knows."""

    driver: Literal["acp", "command", "claude-headless", "codex-headless"] | None = None
    """How to talk to it: the Agent Client Protocol; any program, a process for each prompt; what `claude -p` and `codex
    exec --json` print. Required for an agent that the catalog does not know."""

    command: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Program and arguments. For `command` agents, `{prompt}` in an argument is replaced by the prompt; without it the
    prompt is standard input."""

    env: dict[str, str] = Field(default_factory=dict)
    """Variables to set."""

    pass_env: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Variables to pass on from the floor's own environment: the way a secret such as an API key gets to an agent."""

    provider: Name | None = None
    """Whose limits it shares: name of a `[provider.NAME]`; by default its own name."""

    home: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs of files and folders in your home that hold its login and settings, such as `"~/.my-agent"`: it gets a
    private copy. The agents of the catalog know theirs."""

    hosts: Hosts = ()
    """Hosts of its model, such as `"api.example.com"` or `"127.0.0.1:8080"`: what it reaches with
    `sandbox.network = "model"`. The agents of the catalog know theirs, and those that a variable names as an URL are
    added."""

    mode: str | None = None
    """ACP session mode to switch to after the session starts."""

    context_limit: Share | None = None
    """How full its context may get, in place of `floor.context_limit`. If its model or lane has a limit too, the lowest
    holds."""

    window: Annotated[int, Field(ge=1000)] | None = None
    """Tokens that its context holds. By default what the agent reports, else what its model is known to hold."""
