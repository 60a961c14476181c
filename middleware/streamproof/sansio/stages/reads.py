"""Each read of the upstream is at most one buffer, and is written on its own.

If head and body come together, the head lies in the first read. Nothing is held; only the next hop sees where the reads
ended.

Source: nginx src/http/ngx_http_upstream.c ngx_http_upstream_process_non_buffered_request().
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import Data, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue, wire_size


@dataclass(frozen=True, slots=True)
class Reads:
    """``size`` wire bytes a read."""

    size: int

    def start(self, request: Request, now: float) -> Stage:
        """The reads of one response."""
        return _Reads(self.size)


class _Reads(Stage):
    def __init__(self, size: int) -> None:
        self._size = self._room = size
        self._head_at = 0.0

    def head(self, event: Head, now: float) -> Events:
        self._head_at, self._room = now, max(self._size - event.size, 1)
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        room, self._room = self._room if now == self._head_at else self._size, self._size
        if wire_size(event) <= room:
            return (event,)
        queue = WireQueue()
        queue.put(event)
        out = queue.take(room)
        while queue.size:
            out += queue.take(min(self._size, queue.size))
        return [piece for piece in out if isinstance(piece, Data) and len(piece.data)]
