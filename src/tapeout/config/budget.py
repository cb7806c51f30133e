"""Budgets and providers in `tapeout.toml`: `[budget]`, `[lane.NAME.budget]`, `[provider.NAME]`.

A budget that is left out does not limit. The defaults are high enough not to be met by honest work and low enough that
a floor left alone for a night cannot run away: see docs/decisions/0035-budgets-and-providers.md.
"""

from typing import Annotated

from pydantic import Field

from tapeout.config.values import Model, Seconds

Count = Annotated[int, Field(ge=1)]
Money = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)]


class AttemptBudget(Model):
    """`[budget.attempt]`, and in a lane `[lane.NAME.budget.attempt]`"""

    time: Seconds | None = 7200.0
    """How long the agent of one attempt may work: its turns together, without the time at the gate or waiting for its
    provider."""

    tokens: Count | None = None
    """Tokens that one attempt may use: those that went into the model, the ones from its cache included, and those that
    it wrote. Each request sends the whole context, so that they are many. Where an agent does not report them, and in a
    turn that still runs, they are an estimate, and called so."""

    cost: Money | None = None
    """What one attempt may cost, in US dollars, where the agent reports it."""


class IssueBudget(Model):
    """`[budget.issue]`, and in a lane `[lane.NAME.budget.issue]`: all attempts on an issue since it was filed or
    reopened. An issue that reaches it needs a person."""

    time: Seconds | None = 28800.0
    """How long agents may work on one issue."""

    tokens: Count | None = None
    """Tokens that one issue may use, counted as for an attempt."""

    cost: Money | None = 50.0
    """What one issue may cost, in US dollars."""

    attempts: Count | None = 40
    """How many attempts an issue may have, besides those that a person stopped or whose provider was not to be had."""


class LaneBudget(Model):
    """`[lane.NAME.budget]`: all attempts of a run on issues of the lane together. No more are started in a lane that
    reaches it, and those that run are ended with their work kept."""

    time: Seconds | None = None
    """How long agents may work, added up."""

    tokens: Count | None = None
    """Tokens, counted as for an attempt."""

    cost: Money | None = None
    """US dollars."""

    attempts: Count | None = None
    """How many attempts."""

    attempt: AttemptBudget | None = None
    """In place of `[budget.attempt]`."""

    issue: IssueBudget | None = None
    """In place of `[budget.issue]`."""


class FloorBudget(Model):
    """`[budget]`: a whole run of the floor, from `tapeout up` to its end. When it is reached, the attempts that run are
    ended with their work kept, what waits in the queue is judged, and the floor ends; `tapeout up` begins a new run. A
    floor that was killed goes on in the same run."""

    time: Seconds | None = None
    """How long the floor may run, on the clock; also `tapeout up --budget-time`."""

    tokens: Count | None = None
    """Tokens, counted as for an attempt; also `tapeout up --budget-tokens`."""

    cost: Money | None = 200.0
    """US dollars, as agents report it; also `tapeout up --budget-cost`."""

    attempts: Count | None = None
    """How many attempts."""

    attempts_per_hour: Count | None = 240
    """How many attempts may begin within an hour. It ends nothing: further ones wait. It keeps agents that fail as soon
    as they begin from being started by the hundred."""

    attempt: AttemptBudget = AttemptBudget()
    """Each attempt's."""

    issue: IssueBudget = IssueBudget()
    """Each issue's."""


class ProviderConfig(Model):
    """`[provider.NAME]`: whoever answers an agent's model calls, such as the account that it uses. Its name is that of
    the agent, or what `provider` of `[agents.NAME]` says: so several agents can share the limits of one account."""

    concurrency: Count | None = None
    """How many attempts may use it at once."""

    starts_per_minute: Count | None = None
    """How many attempts that use it may begin within a minute."""

    patience: Seconds = 120.0
    """How long a session waits for it. For longer waits the attempt ends, its work is kept, and another one goes on
    when the provider is back."""
