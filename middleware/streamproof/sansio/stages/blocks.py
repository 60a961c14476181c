"""Fixed buffers filled from the socket, passed on when full: nginx's event pipe.

Knows how many wire bytes a buffer holds, that the head sits in the first one, and the one exception: a partly filled
buffer leaves early when it holds at least the shortest possible rest of the response. The rule, by framing:

1. close-delimited: nothing is known of the rest, so only full buffers leave, and the last one at the end.
2. Content-Length: the rest is known, so the last bytes leave when they are in.
3. chunked: between chunks the shortest rest is ``between`` bytes (the last chunk), inside a chunk of which n bytes
   are missing n + ``inside``. A chunk that is complete in its buffer therefore leaves at once; the tail of one that
   crossed a buffer waits for the next chunk. What counts as missing is what the parser saw, and it sees a buffer only
   when that leaves.

Source: nginx src/event/ngx_event_pipe.c ngx_event_pipe_read_upstream(), src/http/ngx_http_parse.c
ngx_http_parse_chunked(), src/http/modules/ngx_http_proxy_module.c ngx_http_proxy_input_filter_init().
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..http import content_length
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request
from .page import Page, respond


@dataclass(frozen=True, slots=True)
class Blocks:
    """``size`` bytes a buffer, ``first`` in the first one (head included; 0: as the others, head not counted).

    ``between`` and ``inside`` are bytes, as in the rule above; None for both: chunked bodies wait for full buffers
    too. ``on_reset`` is what happens to a partly filled buffer when the upstream resets: ``discard`` or ``deliver``.
    A head that does not fit into ``first`` is answered with ``status``. ``count`` is how many buffers there are beside
    the first, and ``busy`` bytes of them at most leave in one write (0: all that are full), which the next hop sees.
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
        self._fill = 0  # wire bytes in the open buffer
        self._room = settings.size
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
        before, fill = self._bytes, self._fill + lead + len(data) + tail
        self._pieces.append(data)
        self._bytes = before + len(data)
        ends: Sequence[int] = ()
        if fill >= self._room:
            ends, fill = self._close_buffers(event, before, fill)
        self._fill = fill
        if fill and fill >= self._shortest:
            self._fill, self._room = 0, self._settings.size
            self._parsed(rest, at_end=True, seen=self._bytes)
            return self._release((*ends, self._bytes))
        return self._release(ends) if ends else ()

    def _close_buffers(self, event: Data, before: int, fill: int) -> tuple[list[int], int]:
        """This event fills at least one buffer: where in the held bytes each full one ends, and the open one's fill."""
        data, lead, tail, rest = event
        size, first = self._settings.size, self._room - self._fill  # wire offset in this event where the first one ends
        count, left = divmod(fill - self._room, size)
        self._room = size
        offsets = (first + index * size - lead for index in range(count + 1))
        ends = [before + min(max(offset, 0), len(data)) for offset in offsets]
        missing = self._bytes - ends[-1] + rest
        self._parsed(missing, at_end=left == 0, seen=ends[-1])
        return ends, left

    def _parsed(self, rest: int, *, at_end: bool, seen: int) -> None:
        """The parser has seen a buffer that left: what is the shortest rest now?

        ``seen`` counts held bytes up to its end, from the ones that left at the same moment on.
        """
        if self._missing is not None:
            self._shortest = self._missing = max(self._length - self._left - seen, 0)
        elif self._shortest != math.inf:
            self._shortest = self._between if at_end and not rest else rest + self._inside

    def _release(self, ends: Sequence[int]) -> Events:
        """Let the held bytes up to the last of ``ends`` go, as many buffers in one write as the settings say."""
        held = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        upto = ends[-1] if ends else 0
        self._left += upto
        self._bytes -= upto
        self._pieces = [held[upto:]] if self._bytes else []
        out: list[Event] = [] if self._head is None else [self._head]
        self._head = None
        start = 0
        for end in self._writes(ends):
            if end > start:
                out.append(Data(held[start:end]))
            start = end
        return out

    def _writes(self, ends: Sequence[int]) -> Sequence[int]:
        """Which of ``ends`` end a write: after ``busy`` bytes of buffers, and after all the buffers there are."""
        settings = self._settings
        if not settings.busy or len(ends) < 2:
            return ends[-1:]
        together, cycle = max(settings.busy // settings.size, 1), settings.count + 1
        writes: list[int] = []
        for start in range(0, len(ends), cycle):
            buffers = ends[start : start + cycle]
            done = self._missing == 0 and start + cycle >= len(ends)  # a complete response leaves in one
            writes += [] if done else buffers[together - 1 :: together]
            if not writes or writes[-1] != buffers[-1]:
                writes.append(buffers[-1])
        return writes

    def end(self, event: End, now: float) -> Events:
        return [*self._release((self._bytes,)), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard or (event.how == "rst" and self._settings.on_reset == "discard"):
            self._pieces, self._bytes = [], 0
        return [*self._release((self._bytes,)), event]
