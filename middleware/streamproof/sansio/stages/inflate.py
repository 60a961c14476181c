"""A body that the hop compressed for itself is unpacked again for a reader that did not ask for gzip.

Knows that the reader then waits for the compressor all the same, head included. Stands behind a ``compress`` that
works for every reader (Varnish's do_gzip stores objects packed).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..http import accepts, header, without
from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Inflate:
    """No settings: the request decides."""

    def start(self, request: Request, now: float) -> Stage:
        """The decoder of one response."""
        return _Inflate(accepts(request.headers, "gzip"))


class _Inflate(Stage):
    def __init__(self, wants_gzip: bool) -> None:
        self.transparent = wants_gzip
        self._head: Head | None = None
        self._decoder = zlib.decompressobj(31)

    def head(self, event: Head, now: float) -> Events:
        self.transparent = self.transparent or header(event.headers, "content-encoding") != "gzip"
        if self.transparent:
            return (event,)
        self._head = event.replace(without(event.headers, "content-encoding"))
        return ()

    def data(self, event: Data, now: float) -> Events:
        if self.transparent:
            return (event,)
        data = self._decoder.decompress(event.data)
        return [*self._waiting(), Data(data)] if data else ()

    def _waiting(self) -> list[Head]:
        head, self._head = self._head, None
        return [] if head is None else [head]

    def end(self, event: End, now: float) -> Events:
        return [*self._waiting(), event]

    def cut(self, event: Cut, now: float) -> Events:
        return [*self._waiting(), event]
