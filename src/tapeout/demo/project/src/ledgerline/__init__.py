"""Plain-text double-entry accounting."""

__version__ = "0.4.0"
