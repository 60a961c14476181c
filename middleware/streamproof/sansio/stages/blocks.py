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
    A head that does not fit into ``first`` is answered with ``status``.
    """

    size: int
    first: int = 0
    between: int | None = None
    inside: int | None = None
    on_reset: str = "discard"
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
        self._fill = 0  # wire bytes in the open buffer
        self._room = settings.size
        self._shortest: float = math.inf
        self._missing: int | None = None  # Content-Length that the parser has not seen yet

    @property
    def held(self) -> int:
        return sum(map(len, self._pieces))

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
            self._shortest = self._missing = content_length(event.headers) or 0
        return ()

    def data(self, event: Data, now: float) -> Events:
        data, lead, tail, rest = event
        fill = self._fill + lead + len(data) + tail
        self._pieces.append(data)
        full: tuple[int, int] | None = None
        if fill >= self._room:
            fill, full = self._close_buffers(event, fill)
        self._fill = fill
        if fill and fill >= self._shortest:
            self._fill, self._room = 0, self._settings.size
            self._parsed(rest, at_end=True, size=len(data))
            return self._release(len(self._pieces), 0)
        return () if full is None else self._release(*full)

    def _close_buffers(self, event: Data, fill: int) -> tuple[int, tuple[int, int]]:
        """This event fills at least one buffer: the fill of the open one, and what lies in the full ones.

        What lies in them is counted as whole pieces, and bytes of the piece after those.
        """
        data, lead, tail, rest = event
        left = (fill - self._room) % self._settings.size
        self._room = self._settings.size
        closed_at = lead + len(data) + tail - left  # offset in this event where the last full buffer ends
        inside = min(max(closed_at - lead, 0), len(data))
        self._parsed(len(data) - inside + rest, at_end=left == 0, size=inside)
        return left, (len(self._pieces) - 1, inside)

    def _parsed(self, rest: int, *, at_end: bool, size: int) -> None:
        """The parser has seen a buffer that left: what is the shortest rest now?"""
        if self._missing is not None:
            self._shortest = self._missing = max(self._missing - self._unparsed(size), 0)
        elif self._shortest != math.inf:
            self._shortest = self._between if at_end and not rest else rest + self._inside

    def _unparsed(self, size: int) -> int:
        return sum(map(len, self._pieces[:-1])) + size

    def _release(self, count: int, cut: int) -> Events:
        pieces = self._pieces[:count]
        rest = self._pieces[count:]
        if cut:
            pieces.append(rest[0][:cut])
            rest[0] = rest[0][cut:]
        self._pieces = [piece for piece in rest if len(piece)]
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        out: list[Event] = [] if self._head is None else [self._head]
        self._head = None
        if len(data):
            out.append(Data(data))
        return out

    def end(self, event: End, now: float) -> Events:
        return [*self._release(len(self._pieces), 0), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard or (event.how == "rst" and self._settings.on_reset == "discard"):
            self._pieces = []
        return [*self._release(len(self._pieces), 0), event]
