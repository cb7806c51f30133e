"""Under which topics attempts' notes about the context are kept."""

CONTEXT = "context"
"""How full the context may get, and whether what is known of it is an estimate."""

UTILISATION = "utilisation"
"""How full the context was when each change was handed in."""
