"""Fixed buffers filled from the socket and passed on when full: nginx's event pipe.

A buffer holds a number of wire bytes, and the head lies in the first one. One exception: a partly filled buffer leaves
early when it holds at least the shortest possible rest of the response. ``raw_buffers.py`` decides which buffer is
filled when, and what leaves in one write. The rule, by framing:

1. close-delimited: nothing is known of the rest, so only full buffers leave, and the last one at the end.
2. Content-Length: the rest is known, so the last bytes leave when they are in.
3. chunked: between chunks the shortest rest is ``between`` bytes (the last chunk); inside a chunk of which n bytes
   are missing it is n + ``inside``. So a chunk that is complete in its buffer leaves at once, and the tail of one that
   crossed a buffer waits for the next chunk. The parser sees a buffer only when it leaves, so what is missing is what
   the parser has not seen. If a buffer ends inside a chunk's size, the digits seen so far are the size.

Source: nginx src/event/ngx_event_pipe.c ngx_event_pipe_read_upstream(), src/http/ngx_http_parse.c
ngx_http_parse_chunked(), src/http/modules/ngx_http_proxy_module.c ngx_http_proxy_input_filter_init().
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..http import content_length
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..page import Page, respond
from ..trace import Request
from .raw_buffers import Full, RawBuffers


@dataclass(frozen=True, slots=True)
class Blocks:
    """``size`` bytes a buffer, ``first`` in the first one (head included; 0: as the others, head not counted).

    ``between`` and ``inside`` are bytes, as in the rule above; None for both: chunked bodies wait for full buffers
    too. ``on_reset`` is what happens to a partly filled buffer when the upstream resets: ``discard`` or ``deliver``.
    A head that does not fit into ``first`` is answered with ``status``. ``count`` is how many buffers there are beside
    the first, and ``busy`` bytes of them at most leave in one write (0: two of the larger ones), which the next hop
    sees.
    """

    size: int
    first: int = 0
    between: int | None = None
    inside: int | None = None
    on_reset: str = "discard"
    count: int = 8
    busy: int = 0
    status: int = 502
    pages: tuple[Page, ...] = ()

    def start(self, request: Request, now: float) -> Stage:
        """The buffers of one response."""
        return _Blocks(self)


class _Blocks(Stage):
    def __init__(self, settings: Blocks) -> None:
        self._settings = settings
        self._between = math.inf if settings.between is None else settings.between
        self._inside = math.inf if settings.inside is None else settings.inside
        self._head: Head | None = None
        self._over = False
        self._pieces: list[bytes | memoryview] = []
        self._bytes = 0  # body bytes in them
        self._left = 0  # body bytes that have left
        self._length = 0
        first = settings.first or settings.size
        self._buffers = RawBuffers(first, settings.size, settings.count, settings.busy or 2 * max(first, settings.size))
        self._fill = 0  # wire bytes in the open buffer
        self._room = first
        self._shortest: float = math.inf
        self._missing: int | None = None  # Content-Length that the parser has not seen yet

    @property
    def held(self) -> int:
        return self._bytes

    def receive(self, event: Event, now: float) -> Events:
        return () if self._over else super().receive(event, now)

    def head(self, event: Head, now: float) -> Events:
        if self._settings.first:
            self._room = self._settings.first - event.size
            if self._room <= 0:
                self._over = True  # "upstream sent too big header while reading response header from upstream"
                return respond(self._settings.status, self._settings.pages)
        self._head = event
        if event.framing == "chunked":
            self._shortest = self._between
        elif event.framing == "length":
            self._shortest = self._missing = self._length = content_length(event.headers) or 0
        return ()

    def data(self, event: Data, now: float) -> Events:
        data, lead, tail, rest = event
        before, self._fill = self._bytes, self._fill + lead + len(data) + tail
        self._pieces.append(data)
        self._bytes = before + len(data)
        full, writes = self._close_buffers(event, before) if self._fill >= self._room else ([], [])
        if self._fill and self._fill >= self._shortest:
            full.append(Full(self._bytes, self._buffers.open))
            self._buffers.close()
            self._fill = 0
            self._parsed(rest, at_end=True, seen=self._bytes)
        if full:
            writes += self._buffers.write(full, begun=self._fill > 0, at_once=self._missing == 0)
            if not self._fill:
                self._room = self._buffers.open  # what was written first, when that came back
        return self._release(writes) if writes else ()

    def _close_buffers(self, event: Data, before: int) -> tuple[list[Full], list[int]]:
        """This event fills at least one buffer: those that are not written yet, and where the writes before ended."""
        data, lead, _, rest = event
        wire = lead + len(event.data) + event.tail
        at = self._room - (self._fill - wire)  # wire offset in this event where the open buffer ends
        full: list[Full] = []
        writes: list[int] = []
        buffers = self._buffers
        while at <= wire:
            end = before + min(max(at - lead, 0), len(data))
            full.append(Full(end, buffers.open))
            if not buffers.close():  # all are full: nothing is read before they are written
                last = self._missing is not None and self._length - self._left <= end
                writes += buffers.write(full, begun=False, at_once=last)
                full = []
            self._room = buffers.open
            at += self._room
        seen = at - self._room
        self._fill = wire - seen
        self._parsed(self._bytes - end + rest, at_end=self._fill == 0, seen=end, in_size=lead - seen)
        return full, writes

    def _parsed(self, rest: int, *, at_end: bool, seen: int, in_size: int = 0) -> None:
        """The parser has seen a buffer that left: what is the shortest rest now?

        ``seen`` counts held bytes up to its end, from the ones that left at the same moment on. ``in_size``: bytes of a
        chunk's size line that it has not seen.
        """
        if self._missing is not None:
            self._shortest = self._missing = max(self._length - self._left - seen, 0)
        elif self._shortest != math.inf:
            if in_size > 0:
                digits = f"{rest:x}"
                size = int(digits[: max(len(digits) + 2 - in_size, 0)] or "0", 16)
                self._shortest = 1 + (size + self._inside if size else 1)
            else:
                self._shortest = self._between if at_end and not rest else rest + self._inside

    def _release(self, writes: Sequence[int]) -> Events:
        """Let the held bytes up to the last of ``writes`` go; each says where one ends."""
        held = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        upto = writes[-1]
        self._left += upto
        self._bytes -= upto
        self._pieces = [held[upto:]] if self._bytes else []
        out: list[Event] = [] if self._head is None else [self._head]
        self._head = None
        start = 0
        for end in writes:
            if end > start:
                out.append(Data(held[start:end]))
            start = end
        return out

    def end(self, event: End, now: float) -> Events:
        return [*self._release((self._bytes,)), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard or (event.how == "rst" and self._settings.on_reset == "discard"):
            self._pieces, self._bytes = [], 0
        return [*self._release((self._bytes,)), event]
