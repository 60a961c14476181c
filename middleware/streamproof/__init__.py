"""streamproof: find out which hop holds your streamed response.

Importing this costs little and changes nothing: adapters, profiles and doors are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters.taps import tap
    from .analysis.replay import replay
    from .sansio.errors import ConfigurationError, NeedsData, StreamProofError, TraceError
    from .sansio.findings import Budget, Finding, examine
    from .sansio.flush import FlushPolicy
    from .sansio.locate import Leg, Location, locate
    from .sansio.trace import Chunk, Outcome, Trace
    from .wrapping import wrap

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "Chunk",
    "ConfigurationError",
    "Finding",
    "FlushPolicy",
    "Leg",
    "Location",
    "NeedsData",
    "Outcome",
    "StreamProofError",
    "Trace",
    "TraceError",
    "examine",
    "locate",
    "replay",
    "tap",
    "wrap",
]

_WHERE = {
    "Budget": "sansio.findings",
    "Chunk": "sansio.trace",
    "ConfigurationError": "sansio.errors",
    "Finding": "sansio.findings",
    "FlushPolicy": "sansio.flush",
    "Leg": "sansio.locate",
    "Location": "sansio.locate",
    "NeedsData": "sansio.errors",
    "Outcome": "sansio.trace",
    "StreamProofError": "sansio.errors",
    "Trace": "sansio.trace",
    "TraceError": "sansio.errors",
    "examine": "sansio.findings",
    "locate": "sansio.locate",
    "replay": "analysis.replay",
    "tap": "adapters.taps",
    "wrap": "wrapping",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
