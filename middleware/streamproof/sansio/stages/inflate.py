"""Unpack a body that the hop compressed for itself, for a reader that did not ask for gzip.

The reader waits for the compressor, head included. What is unpacked leaves only in full buffers or at the end, and what
waits in a buffer is lost if the response is cut. If the size of the packed body is known, all of it is there, so the
reader gets the size of the unpacked one. Stands behind a ``compress`` that works for every reader (Varnish's do_gzip
stores objects packed). A body that is not gzip, though its head says so, is cut, and a head that still waits with it.

Source: varnish-cache bin/varnishd/cache/cache_gzip.c, vdp_gunzip_init(), vdp_gunzip_bytes().
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

from ..decode.limits import INFLATED_SIZE
from ..http import accepts, content_length, header, without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Inflate:
    """``buffer`` bytes leave at a time.

    A body that is not gzip, or that has more than ``INFLATED_SIZE`` bytes, is cut; ``name`` names the hop then.
    """

    cuts: ClassVar[bool] = True

    buffer: int = 32768
    name: str = "hop"

    def start(self, request: Request, now: float) -> Stage:
        """The decoder of one response."""
        return _Inflate(self, request)


class _Inflate(Stage):
    def __init__(self, settings: Inflate, request: Request) -> None:
        self.transparent = accepts(request.headers, "gzip")
        self._bare = request.method == "HEAD"
        self._buffer, self._name = settings.buffer, settings.name
        self._head: Head | None = None
        self._sized = False  # the head waits until the whole body can be counted
        self._out = bytearray()
        self._decoder = zlib.decompressobj(31)
        self._left = INFLATED_SIZE
        self._over = False

    @property
    def held(self) -> int:
        return len(self._out)

    def head(self, event: Head, now: float) -> Events:
        self.transparent = self.transparent or header(event.headers, "content-encoding") != "gzip"
        if self.transparent:
            return (event,)
        self._sized = content_length(event.headers) is not None
        head = event.replace(without(event.headers, "content-encoding", "content-length"))
        if self._bare and not self._sized:
            return (head,)
        self._head = head
        return ()

    def receive(self, event: Event, now: float) -> Events:
        return () if self._over else super().receive(event, now)

    def data(self, event: Data, now: float) -> Events:
        if self.transparent:
            return (event,)
        out: list[Event] = []
        packed: bytes | memoryview = event.data
        while packed:
            try:
                piece = self._decoder.decompress(packed, self._buffer - len(self._out) % self._buffer)
            except zlib.error:
                return [*out, *self._fail("the body is not gzip, as its Content-Encoding says")]
            self._out += piece
            self._left -= len(piece)
            if self._left < 0:
                return [*out, *self._fail(f"the body has more than {INFLATED_SIZE:,} B when it is decompressed")]
            packed = self._decoder.unconsumed_tail
            if self._sized:
                continue
            if len(self._out) == self._buffer or self._decoder.eof:
                out += self._leave()
        return out

    def _fail(self, reason: str) -> Events:
        self._over, self._head = True, None
        self._out.clear()
        return [Cut("fin", self._name, reason, own=True)]

    def _leave(self) -> list[Event]:
        data = bytes(self._out)
        self._out.clear()
        return [*self._waiting(), Data(data)] if data else []

    def _waiting(self) -> list[Event]:
        head, self._head = self._head, None
        return [] if head is None else [head]

    def end(self, event: End, now: float) -> Events:
        if self._sized and self._head is not None:
            size = ("Content-Length", str(len(self._out)))
            self._head = self._head.replace((*self._head.headers, size), framing="length")
        return [*self._leave(), *self._waiting(), event]

    def cut(self, event: Cut, now: float) -> Events:
        return [*self._waiting(), event]
