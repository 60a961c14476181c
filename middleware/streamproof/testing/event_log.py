"""The event log of one exchange: which place had how many bytes, in the order in which it happened.

An entry says that a place produced a chunk or that the reader received one. Order proves cause here; times are only
shown. ``lockstep.py`` draws the conclusions. Taps reach the log of their exchange by ``adapters/taps.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

READER = "reader"
#: The place where the app under test, with all its layers, hands chunks to the transport.
APP = "app"


class Entry(NamedTuple):
    """``place`` produced (or, for the reader, came to hold) ``size`` bytes at ``at`` seconds."""

    at: float
    place: str
    size: int
    held_by: str | None = None
    """The hop that held most when this chunk was produced, with a via."""


class EventLog:
    """The entries of one exchange. ``places`` are in the order app side first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._taps: list[str] = []

    @property
    def places(self) -> Sequence[str]:
        """Every place that produces, innermost first."""
        return [*self._taps, APP]

    def place(self, name: str) -> str:
        """Register a tap. Inner taps are registered later and come first. Return the name, made unique."""
        taken, unique, number = {*self._taps, APP, READER}, name, 2
        while unique in taken:
            unique, number = f"{name} {number}", number + 1
        self._taps.insert(0, unique)
        return unique

    def add(self, at: float, place: str, size: int, held_by: str | None = None) -> None:
        """Record one event. Chunks without a byte prove nothing and are left out."""
        if size:
            self.entries.append(Entry(at, place, size, held_by))

    def of(self, place: str) -> list[Entry]:
        """Return the entries of one place."""
        return [entry for entry in self.entries if entry.place == place]

    def tap(self, now: Callable[[], float], name: str) -> Callable[[int], None]:
        """Register the tap ``name``. Return what adds a chunk of a given size at the time of ``now``."""
        place = self.place(name)
        return lambda size: self.add(now(), place, size)
