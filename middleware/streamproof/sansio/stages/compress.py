"""Compression with real zlib: which responses are eligible, and when compressed bytes come out.

Knows the eligibility rules that products share, and three habits: flush every piece (``sync``), never flush and hand
over full output blocks (``none``), or never flush and hand over whatever zlib gives (``none`` with ``block`` 0).
Does not know other codings: a product that would choose one of them is emulated with gzip, and its profile says so.

The rule for no flush: zlib returns bytes when a deflate block closes, which for text is tens of kilobytes of input;
of those only full ``block`` bytes leave before the end. Source: nginx src/http/modules/ngx_http_gzip_filter_module.c.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..http import accepts, content_length, header, media_type, tokens, without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request

GZIP = 16  # added to the window bits it makes zlib write a gzip header (zlib.h, deflateInit2)


@dataclass(frozen=True, slots=True)
class Compress:
    """Eligibility and flushing of one compressor.

    ``types``: media types, globs allowed, empty for all. ``min_length`` in bytes counts only where the length is known;
    ``min_first`` in bytes is the smallest first write that is compressed at all. ``statuses``: empty for all.
    ``versions``: HTTP versions of the request, empty for all. ``framings``: of the upstream response, empty for all.
    ``via``: requests that carry Via are compressed too. ``no_transform``: Cache-Control no-transform forbids it.
    ``lag``: bytes of each flushed piece that stay in the compressor until the next one.
    ``shrink``: a known length makes window and memory level smaller, as nginx does.
    """

    level: int = 6
    window: int = 15
    memory: int = 8
    block: int = 0
    flush: str = "none"
    types: tuple[str, ...] = ()
    min_length: int = 0
    min_first: int = 0
    statuses: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()
    framings: tuple[str, ...] = ()
    via: bool = True
    no_transform: bool = False
    vary: bool = False
    vary_always: bool = False
    head_first: bool = False
    shrink: bool = False
    lag: int = 0

    def start(self, request: Request, now: float) -> Stage:
        """The compressor of one response."""
        return _Compress(self, request)


class _Compress(Stage):
    def __init__(self, settings: Compress, request: Request) -> None:
        self._settings, self._request = settings, request
        self._head: Head | None = None
        self._deciding = False
        self._deflate: zlib._Compress | None = None
        self._out = bytearray()
        self._in = 0  # body bytes taken in since the last byte left

    @property
    def held(self) -> int:
        return self._in

    def head(self, event: Head, now: float) -> Events:
        settings = self._settings
        if not self._eligible(event):
            self.transparent = True
            return (self._marked(event) if settings.vary_always and self._listed(event) else event,)
        if settings.min_first:
            self._head, self._deciding = event, True
            return ()
        return self._begin(event)

    def _begin(self, event: Head) -> Events:
        settings, length = self._settings, content_length(event.headers)
        window, memory = settings.window, settings.memory
        if settings.shrink and length:
            while length < (1 << (window - 1)) - 262 and window > 9:
                window, memory = window - 1, max(memory - 1, 1)
        self._deflate = zlib.compressobj(settings.level, zlib.DEFLATED, window + GZIP, memory)
        headers = without(event.headers, "content-length", "accept-ranges")
        headers = tuple((name, f"W/{tag}" if name.lower() == "etag" and tag[:2] != "W/" else tag) for name, tag in headers)
        head = event.replace((*headers, ("Content-Encoding", "gzip")))
        if head.framing == "length":
            head = head._replace(framing="close" if self._request.http_version == "1.0" else "chunked")
        head = self._marked(head) if settings.vary else head
        if settings.head_first:
            return (head,)
        self._head = head
        return ()

    def _listed(self, head: Head) -> bool:
        types = self._settings.types
        return not types or any(fnmatchcase(media_type(head.headers), pattern) for pattern in types)

    def _eligible(self, head: Head) -> bool:
        settings, request = self._settings, self._request
        length = content_length(head.headers)
        return (
            accepts(request.headers, "gzip")
            and request.method != "HEAD"
            and self._listed(head)
            and (not settings.statuses or head.status in settings.statuses)
            and (not settings.versions or request.http_version in settings.versions)
            and (not settings.framings or head.framing in settings.framings)
            and (settings.via or header(request.headers, "via") is None)
            and header(head.headers, "content-encoding") is None
            and not (settings.no_transform and "no-transform" in tokens(head.headers, "cache-control"))
            and (length is None or length >= settings.min_length)
            and head.status not in (204, 304)
        )

    def _marked(self, head: Head) -> Head:
        if "accept-encoding" in tokens(head.headers, "vary"):
            return head
        return head.replace((*head.headers, ("Vary", "Accept-Encoding")))

    def data(self, event: Data, now: float) -> Events:
        if self._deciding:
            return self._decide(event, now)
        deflate = self._deflate
        if deflate is None:
            return (event,)
        settings = self._settings
        self._in += len(event.data)
        self._out += deflate.compress(event.data)
        if settings.flush == "sync":
            self._out += deflate.flush(zlib.Z_SYNC_FLUSH)
            return self._leave(max(len(self._out) - settings.lag, 0))
        size = len(self._out)
        return self._leave(size - size % settings.block if settings.block else size)

    def _decide(self, event: Data, now: float) -> Events:
        """The first write is here: is it long enough to be compressed?"""
        assert self._head is not None
        head, self._head, self._deciding = self._head, None, False
        if len(event.data) < self._settings.min_first:
            return (head, event)
        return [*self._begin(head), *self.data(event, now)]

    def _leave(self, count: int) -> Events:
        if not count:
            return ()
        data = bytes(self._out[:count])
        del self._out[:count]
        self._in = 0
        out: list[Event] = [] if self._head is None else [self._head]
        self._head = None
        return [*out, Data(data)]

    def end(self, event: End, now: float) -> Events:
        if self._deciding:
            assert self._head is not None
            self._deciding = False
            return (self._head, event)
        if self._deflate is None:
            return (event,)
        self._out += self._deflate.flush(zlib.Z_FINISH)
        return [*self._leave(len(self._out)), event]

    def cut(self, event: Cut, now: float) -> Events:
        head, self._head = self._head, None
        return (event,) if head is None else (head, event)
