"""Send bytes in a silence, so that no hop ends the stream, and a write notices that the reader left.

A heartbeat comes ``interval`` seconds after the last byte, at a boundary. It comes before the first byte only on
request, because the head commits a status that could still become an error. ``framing.py`` knows the grammar.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..framing import BodyFraming, Scanner
from ..machine import Cut, Data, End, Events, Head, Stage


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """``interval`` in seconds; ``size`` in bytes, at least; ``early``: also before the first byte of the body."""

    framing: BodyFraming
    interval: float
    size: int = 0
    early: bool = False

    def start(self) -> Stage:
        """The heart of one response."""
        return _Heartbeat(self)


class _Heartbeat(Stage):
    def __init__(self, settings: Heartbeat) -> None:
        self._settings = settings
        self._scanner = Scanner(settings.framing.ends)
        self._count = 0

    def head(self, event: Head, now: float) -> Events:
        if self._settings.early:
            self.deadline = now + self._settings.interval
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        if event.data:
            self._scanner.see(event.data)
            self.deadline = now + self._settings.interval if self._scanner.at_boundary else None
        return (event,)

    def end(self, event: End, now: float) -> Events:
        self.deadline = None
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        self.deadline = None
        return (event,)

    def wake(self, now: float) -> Events:
        settings = self._settings
        assert settings.framing.beat is not None
        self._count += 1
        beat = settings.framing.beat(settings.size, self._count)
        self._scanner.see(beat)  # what follows is read after it: a CR before it is not half of a line end
        self.deadline = now + settings.interval if self._scanner.at_boundary else None
        return (Data(beat),)
