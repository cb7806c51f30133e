"""Run a floor of coding agents in parallel, and land only what passes the gate."""

__version__ = "0.1.0"
