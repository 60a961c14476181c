"""Send bytes in a silence, so that no hop ends the stream, and a write notices that the reader left.

A heartbeat comes ``interval`` seconds after the last byte, at a boundary. It comes before the first byte only on
request, because the head commits a status that could still become an error. ``framing.py`` knows the grammar.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..framing import BodyFraming
from ..machine import Cut, Data, End, Events, Head, Stage
from .tail import Tail


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """``interval`` in seconds; ``size`` in bytes, at least; ``early``: also before the first byte of the body."""

    framing: BodyFraming
    interval: float
    size: int = 0
    early: bool = False

    def start(self, tail: Tail) -> Stage:
        """The heart of one response whose end is ``tail``."""
        return _Heartbeat(self, tail)


class _Heartbeat(Stage):
    __slots__ = ("_count", "_settings", "_tail")

    def __init__(self, settings: Heartbeat, tail: Tail) -> None:
        self._settings, self._tail = settings, tail
        self._count = 0

    @property
    def deadline(self) -> float | None:  # type: ignore[override]
        """Derived when it is asked: a chunk sets no timer."""
        last_at = self._tail.last_at
        return last_at + self._settings.interval if last_at is not None and self._tail.at_boundary else None

    def head(self, event: Head, now: float) -> Events:
        if self._settings.early:
            self._tail.last_at = now
        return (event,)

    def end(self, event: End, now: float) -> Events:
        self._tail.last_at = None
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        self._tail.last_at = None
        return (event,)

    def wake(self, now: float) -> Events:
        settings = self._settings
        assert settings.framing.beat is not None
        self._count += 1
        beat = settings.framing.beat(settings.size, self._count)
        self._tail.saw(beat, now)  # what follows is read after it: a CR before it is not half of a line end
        return (Data(beat),)
