"""Greets people."""


def greet(name: str) -> str:
    """A friendly line."""
    return f"Hello, {name}!"
