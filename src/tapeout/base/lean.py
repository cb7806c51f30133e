"""Stand-ins for what `typing` gives.

`typing`, with `re` below it on Python 3.11 and 3.12, costs 8 ms (docs/decisions/0003). To a type checker each name here
is the original. Modules that a tracker command imports begin with

    from __future__ import annotations

    from tapeout.base.lean import TYPE_CHECKING, NamedTuple

    if TYPE_CHECKING:
        from typing import Any
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Literal, NamedTuple, cast
else:

    class _Fields(type):
        """Makes a named tuple of a class whose annotations name its fields."""

        def __new__(cls, name, bases, namespace):
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = namespace["__annotations__"]
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            for key, value in namespace.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Fields):
        """`typing.NamedTuple`; the module needs `from __future__ import annotations`."""

    class Literal:
        """`typing.Literal`: in annotations, which are not evaluated, and in names for them."""

        def __class_getitem__(cls, values):
            return cls

    def cast(_kind, value):
        """`typing.cast`."""
        return value


__all__ = ["TYPE_CHECKING", "Literal", "NamedTuple", "cast"]
