"""Body bytes that came in the same read as the head wait for the next read.

A fetcher passes them on only when its buffer is full, and reads again to fill it. Inside a chunk it knows how much to
wait for, so a chunked answer is not held. Bytes count as the same read if they arrive within ``window`` seconds of
the head, the time that the hop needs to wake up and read. In the real product this is a race, too.

Source: varnish-cache bin/varnishd/http1/cache_http1_vfp.c, v1f_read(): it copies the pipelined bytes, then reads the
socket for the rest of the buffer before it returns.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import content_length
from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class FirstRead:
    """``buffer``: bytes that a fetch asks for; ``read``: bytes of the read that brings the head, head included."""

    buffer: int = 16384
    read: int = 32768
    window: float = 0.0002

    def start(self, request: Request, now: float) -> Stage:
        """The first read of one response."""
        return _FirstRead(self)


class _FirstRead(Stage):
    def __init__(self, settings: FirstRead) -> None:
        self._settings = settings
        self._closes = 0.0
        self._room = 0
        self._missing: int | None = None
        self._piece: bytes | memoryview = b""

    @property
    def held(self) -> int:
        return len(self._piece)

    def head(self, event: Head, now: float) -> Events:
        self._closes, self._room = now + self._settings.window, self._settings.read - event.size
        self._missing = content_length(event.headers)
        self.transparent = event.framing == "chunked"
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        if self.transparent:
            return (event,)
        size, held = len(event.data), self._piece
        self._room -= size
        if self._missing is not None:
            self._missing -= size
        if now > self._closes or self._room <= 0 or self._missing == 0:
            self._piece, self.transparent = b"", True
            return (Data(held), event) if held else (event,)
        data = bytes(held) + bytes(event.data)
        full = len(data) - len(data) % self._settings.buffer
        self._piece = data[full:]
        return (Data(data[:full]),) if full else ()

    def end(self, event: End, now: float) -> Events:
        held, self._piece = self._piece, b""
        return (Data(held), event) if held else (event,)

    def cut(self, event: Cut, now: float) -> Events:
        held, self._piece = self._piece, b""
        return (Data(held), event) if held and not event.discard else (event,)
