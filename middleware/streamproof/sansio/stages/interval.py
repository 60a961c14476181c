"""Output is flushed at a steady interval: Go's ReverseProxy with a FlushInterval above zero.

Knows that the timer starts with the first byte written since the last flush
(net/http/httputil/reverseproxy.go, maxLatencyWriter). A full output buffer of ``size`` bytes leaves before that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue


@dataclass(frozen=True, slots=True)
class Interval:
    """``seconds`` between flushes, ``size`` bytes of output buffer; ``head_first``: the head does not wait."""

    timed: ClassVar[bool] = True

    seconds: float
    size: int = 4096
    head_first: bool = False

    def start(self, request: Request, now: float) -> Stage:
        """The writer of one response."""
        return _Interval(self)


class _Interval(Stage):
    def __init__(self, settings: Interval) -> None:
        self._settings = settings
        self._queue = WireQueue()

    @property
    def held(self) -> int:
        return self._queue.body_bytes

    def head(self, event: Head, now: float) -> Events:
        if self._settings.head_first:
            return (event,)
        self._queue.put(event)
        return ()

    def data(self, event: Data, now: float) -> Events:
        queue, size = self._queue, self._settings.size
        queue.put(event)
        if self.deadline is None:
            self.deadline = now + self._settings.seconds
        return queue.take(queue.size - queue.size % size) if queue.size >= size else ()

    def wake(self, now: float) -> Events:
        self.deadline = None
        return self._queue.take_all()

    def end(self, event: End, now: float) -> Events:
        return [*self.wake(now), event]

    def cut(self, event: Cut, now: float) -> Events:
        self.deadline = None
        return [*(self._queue.drop() if event.discard else self._queue.take_all()), event]
