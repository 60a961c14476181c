"""streamproof: find out which hop holds your streamed response.

Importing this costs little and changes nothing: adapters, profiles and doors are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._replay import replay
    from ._wrap import wrap
    from .sansio.trace import Chunk, Outcome, Trace

__version__ = "0.1.0"

__all__ = ["Chunk", "Outcome", "Trace", "replay", "wrap"]

_WHERE = {
    "Chunk": "sansio.trace",
    "Outcome": "sansio.trace",
    "Trace": "sansio.trace",
    "replay": "_replay",
    "wrap": "_wrap",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
