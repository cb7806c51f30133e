"""Random identifiers, safe to make on any machine at any time."""

import os

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no i, l, o, u, so that ids survive being read aloud."""


def new_id(length: int = 10) -> str:
    """A random id of `length` characters, 5 bits each: 50 bits by default, so 100,000 issues made on clones that
    never spoke have a 4-in-a-million chance of any collision."""
    return "".join(ALPHABET[byte & 31] for byte in os.urandom(length))
