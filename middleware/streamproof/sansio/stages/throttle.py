"""Bytes after the first ``free`` ones leave at a steady rate, ``rate`` bytes a second in steps of ``step`` seconds.

Source: AWS API Gateway and Lambda documentation, response streaming ("first 10 MB", "first 6 MB" at full speed, then
2 MB/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Event, Events, Stage
from ..trace import Request
from ..wire import WireQueue


@dataclass(frozen=True, slots=True)
class Throttle:
    """``free`` body bytes at full speed, then ``rate`` bytes a second, handed over every ``step`` seconds."""

    timed: ClassVar[bool] = True

    free: int
    rate: float
    step: float = 0.05

    def start(self, request: Request, now: float) -> Stage:
        """The bucket of one response."""
        return _Throttle(self)


class _Throttle(Stage):
    def __init__(self, settings: Throttle) -> None:
        self._settings = settings
        self._free = settings.free
        self._queue = WireQueue()
        self._last: Event | None = None

    @property
    def held(self) -> int:
        return self._queue.body_bytes

    def data(self, event: Data, now: float) -> Events:
        size = len(event.data)
        if self.deadline is None and size <= self._free:
            self._free -= size
            return (event,)
        self._queue.put(event)
        if self.deadline is None:
            self.deadline = now + self._settings.step
            out = self._queue.take(min(self._free, self._queue.size))
            self._free = 0
            return out
        return ()

    def wake(self, now: float) -> Events:
        settings, queue = self._settings, self._queue
        out = queue.take(min(max(int(settings.rate * settings.step), 1), queue.size))
        if queue.size:
            self.deadline = now + settings.step
        else:
            self.deadline = None
            if self._last is not None:
                out.append(self._last)
        return out

    def end(self, event: End, now: float) -> Events:
        if self._queue.size:
            self._last = event
            return ()
        self.deadline = None
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        self.deadline = None
        return [*(() if event.discard else self._queue.take_all()), event]
