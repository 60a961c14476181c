"""Makes instances of frozen dataclasses as fast as CPython makes plain objects.

Knows one fact: an instance may change its class to one of the same layout. The ``__init__`` of a frozen dataclass goes
through ``object.__setattr__`` for each field, which takes three times as long; a stream that ended is five instances.
Does not look at what the fields hold: no defaults, no ``__post_init__``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def drafted(cls: type[T]) -> Callable[..., T]:
    """A function that takes every field of ``cls`` by position. Raises TypeError when there is a ``__post_init__``."""
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} has a __post_init__, which a draft would leave out.")
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    slots = getattr(cls, "__slots__", None)
    space: dict[str, Any] = {"cls": cls, "draft": type("Draft", (), {} if slots is None else {"__slots__": slots})}
    lines = [f"def make({', '.join(names)}):", "    self = draft()", *(f"    self.{name} = {name}" for name in names)]
    exec("\n".join([*lines, "    self.__class__ = cls", "    return self"]), space)
    make: Callable[..., T] = space["make"]
    return make
