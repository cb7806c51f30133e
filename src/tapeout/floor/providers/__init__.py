"""Providers: whoever answers the model calls of agents, with limits and bad days that are nobody's failure.

    backoff    how long to wait before trying again
    circuit    a circuit breaker: whether a provider is to be had
    pauses     the circuits as the tracker's index holds them
    patience   a supervisor of a session that waits for its provider

The first two are pure. Which provider an agent uses: `provider_of`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapeout.config import Config, ProviderConfig


def provider_of(agent: str, config: "Config") -> str:
    """Name of the provider that an agent uses: its own name, if the configuration does not say another one."""
    settings = config.agents.get(agent)
    return settings.provider if settings is not None and settings.provider else agent


def provider_settings(provider: str, config: "Config") -> "ProviderConfig":
    """The limits of a provider; the usual ones if the configuration names none."""
    from tapeout.config import ProviderConfig  # status reads what is paused, without any configuration

    return config.provider.get(provider, ProviderConfig())
