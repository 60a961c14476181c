"""Compression: which responses are eligible, and what their head then says.

The output is real deflate data. The packers (``packers.py``, ``slz.py``) decide when bytes come out. A product that
would choose another coding is emulated with gzip, and its profile says so.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..http import Framing, Headers, accepts, content_length, has_body, header, media_type, tokens, without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request
from .packers import Flushed, InputBlocks, Packer, Segments, Unflushed
from .slz import Slz

GZIP = 16  # added to the window bits it makes zlib write a gzip header (zlib.h, deflateInit2)
_WHOLE_READ = 65536  # bytes; the output of a whole body is collected piece by piece, not copied as one


@dataclass(frozen=True, slots=True)
class Compress:
    """Eligibility and habits of one compressor.

    ``engine``: ``zlib`` or ``slz``; for zlib ``level``, ``window`` bits and ``memory`` level, and ``shrink``: a known
    length makes the last two smaller, as nginx does. ``flush``: ``sync`` after each piece, or ``none``; then ``block``,
    or ``input_block`` and ``lag``, or ``segment`` choose the packer (bytes). ``read``: bytes of one read of input.

    ``types``: media types, globs allowed, empty for all; ``prefixes``: their beginnings, no globs. ``min_length`` in
    bytes counts only where the length is known; ``min_first`` in bytes, where it is not, is the smallest first piece
    that is compressed at all (the head waits for it). ``statuses``, ``framings`` (of the upstream response): empty for
    all. ``since``: the lowest HTTP version of a request. ``via``: ``off`` where requests that carry Via are not
    compressed, else ``any``. ``no_transform``: Cache-Control no-transform forbids it. ``for_all``: for readers that
    don't accept gzip too. ``heads``: answers to HEAD get the head that GET would: ``all``, or those of known
    ``length``, which then name the size of nothing compressed; empty for none.

    ``head_first``: the head does not wait for the first output. ``vary``: a compressed response says Vary:
    Accept-Encoding; ``vary_always``: each response that another reader would get compressed does; ``vary_any``: each
    of a listed type does, whatever its status, length and coding. ``adds``: further fields. ``lower``: names in
    lower case. ``opens``: with the head, the coding's own header is flushed too. ``on_cut``: ``flush`` lets what the
    compressor has taken in go when the response is cut, ``drop`` loses it, ``end``
    ends the coding and the response, whose length is then unknown. ``keep_ranges``: Accept-Ranges stays.
    ``add_length``: the whole response is there when it is compressed, so ``min_length`` counts what is there, and the
    head names the size it then has. ``etag``: what becomes of a strong one: ``weak``, ``keep``, ``drop``, ``suffix``
    (-gzip inside), or ``suffix_all`` (in a weak one, too).
    """

    engine: str = "zlib"
    level: int = 6
    window: int = 15
    memory: int = 8
    shrink: bool = False
    flush: str = "none"
    block: int = 0
    input_block: int = 0
    lag: int = 0
    segment: int = 0
    read: int = 32768
    types: tuple[str, ...] = ()
    prefixes: bool = False
    min_length: int = 0
    min_first: int = 0
    statuses: tuple[int, ...] = ()
    since: str = "1.0"
    framings: tuple[str, ...] = ()
    via: str = "any"
    no_transform: bool = False
    for_all: bool = False
    heads: str = ""
    vary: bool = False
    vary_always: bool = False
    vary_any: bool = False
    keep_ranges: bool = False
    add_length: bool = False
    head_first: bool = False
    opens: bool = False
    on_cut: str = "drop"
    lower: bool = False
    adds: Headers = ()
    etag: str = "weak"

    def start(self, request: Request, now: float) -> Stage:
        """The compressor of one response."""
        return _Compress(self, request)

    def listed(self, head: Head) -> bool:
        """Is the type one that this compressor takes?"""
        kind = media_type(head.headers)
        if self.prefixes:
            return not self.types or kind.startswith(tuple(prefix.lower() for prefix in self.types))
        return not self.types or any(fnmatchcase(kind, pattern) for pattern in self.types)

    def negotiable(self, head: Head) -> bool:
        """Could a response like this one be compressed for another reader?"""
        forbidden = self.no_transform and "no-transform" in tokens(head.headers, "cache-control")
        return self.listed(head) and not forbidden and not head.own and (self.vary_any or self._fits(head))

    def _fits(self, head: Head) -> bool:
        length = content_length(head.headers)
        return (
            (not self.statuses or head.status in self.statuses)
            and header(head.headers, "content-encoding") is None
            and (length is None or length >= self.min_length)
        )

    def eligible(self, request: Request, head: Head) -> bool:
        """Is this response compressed, as far as the heads say?"""
        return (
            (self.for_all or accepts(request.headers, "gzip"))
            and (has_body(request.method, head.status) or self._answers_head(request, head))
            and self.negotiable(head)
            and self._fits(head)
            and float(request.http_version) >= float(self.since)
            and (not self.framings or head.framing in self.framings)
            and (self.via == "any" or header(request.headers, "via") is None)
        )

    def _answers_head(self, request: Request, head: Head) -> bool:
        known = content_length(head.headers) is not None
        return request.method == "HEAD" and (self.heads == "all" or (self.heads == "length" and known))

    def packer(self, length: int | None) -> Packer:
        """The compressor that this product sets up for a body of ``length`` bytes."""
        if self.engine == "slz":
            return Slz(self.read)
        window, memory = self.window, self.memory
        if self.shrink and length:
            while length < (1 << (window - 1)) - 262 and window > 9:
                window, memory = window - 1, max(memory - 1, 1)
        deflate = zlib.compressobj(self.level, zlib.DEFLATED, window + GZIP, memory)
        if self.flush == "sync":
            return Flushed(deflate)
        if self.input_block:
            return InputBlocks(deflate, self.input_block, self.lag)
        if self.segment:
            return Segments(deflate, length or self.segment, self.segment, self.read)
        return Unflushed(deflate, self.block)

    def compressed(self, head: Head, old_reader: bool) -> Head:
        """The head of the compressed response."""
        headers = without(head.headers, "content-length", *(() if self.keep_ranges else ("accept-ranges",)))
        headers = tuple(field for field in map(self._tagged, headers) if field[1])
        coding = "content-encoding" if self.lower else "Content-Encoding"
        framing: Framing = ("close" if old_reader else "chunked") if head.framing == "length" else head.framing
        marked = head.replace((*headers, (coding, "gzip"), *self.adds), framing=framing)
        return self.marked(marked) if self.vary else marked

    def _tagged(self, field: tuple[str, str]) -> tuple[str, str]:
        """``field`` after compression; one without a value goes."""
        name, value = field
        kept = self.etag == "keep" or (value.startswith("W/") and self.etag != "suffix_all")
        if name.lower() != "etag" or kept:
            return name, value
        inside = value[:-1] + '-gzip"'
        return name, {"weak": f"W/{value}", "suffix": inside, "suffix_all": inside}.get(self.etag, "")

    def marked(self, head: Head) -> Head:
        """``head`` with Vary: Accept-Encoding."""
        if "accept-encoding" in tokens(head.headers, "vary"):
            return head
        return head.replace((*head.headers, ("vary", "accept-encoding") if self.lower else ("Vary", "Accept-Encoding")))


class _Compress(Stage):
    def __init__(self, settings: Compress, request: Request) -> None:
        self._settings, self._request = settings, request
        self._head: Head | None = None
        self._deciding = False
        self._packer: Packer | None = None
        self._bare = False  # there will be no body, and the head names the size of an empty one that is compressed
        self._in = 0  # body bytes taken in since the last byte left
        self._whole = bytearray()  # compressed bytes that wait until they can be counted

    @property
    def held(self) -> int:
        return self._in

    def head(self, event: Head, now: float) -> Events:
        settings = self._settings
        if not settings.eligible(self._request, event):
            self.transparent = True
            return (settings.marked(event) if settings.vary_always and settings.negotiable(event) else event,)
        self.needs_data = True
        self._bare = self._request.method == "HEAD" and settings.heads == "length"
        if (settings.min_first or settings.add_length) and not self._bare:
            self._head, self._deciding = event, True
            return ()
        return self._begin(event)

    def _begin(self, event: Head) -> Events:
        self._packer = self._settings.packer(content_length(event.headers))
        head = self._settings.compressed(event, self._request.http_version == "1.0")
        if self._settings.head_first and not self._bare:
            return (head, Data(self._packer.feed(b""))) if self._settings.opens else (head,)
        self._head = head
        return ()

    def data(self, event: Data, now: float) -> Events:
        if self._deciding:
            return self._decide(event, now)
        if self._packer is None:
            return (event,)
        self._in += len(event.data)
        if self._settings.engine == "slz":
            read = self._settings.read
        elif self._settings.add_length and type(self._packer) is Unflushed:
            read = _WHOLE_READ
        else:
            return self._leave(self._packer.feed(event.data))
        pieces = (event.data[start : start + read] for start in range(0, len(event.data), read))
        return [left for piece in pieces for left in self._leave(self._packer.feed(piece))]

    def _decide(self, event: Data, now: float) -> Events:
        """The first piece, or the whole body, is here: is it long enough to be compressed?"""
        head, self._head, self._deciding = self._head, None, False
        assert head is not None
        settings, size = self._settings, len(event.data)
        if (
            size < settings.min_length
            if settings.add_length
            else head.framing != "length" and size < settings.min_first
        ):
            return (head, event)
        return [*self._begin(head), *self.data(event, now)]

    def _leave(self, data: bytes | memoryview) -> Events:
        if not data:
            return ()
        if self._settings.add_length and self._packer is not None:
            self._whole += data
            return ()
        self._in = 0
        return [*self._waiting(), Data(data)]

    def _waiting(self) -> list[Event]:
        head, self._head, self._deciding = self._head, None, False
        return [] if head is None else [head]

    def end(self, event: End, now: float) -> Events:
        packer, self._packer = self._packer, None
        if packer is None:
            return [*self._waiting(), event]
        body: bytes | memoryview = packer.finish()
        if self._whole:
            self._whole += body
            body = memoryview(self._whole).toreadonly()
            self._whole = bytearray()
        if (self._settings.add_length or self._bare) and self._head is not None:
            headers = (*self._head.headers, ("Content-Length", str(len(body))))
            self._head = self._head.replace(headers, framing="length")
        return [*self._leave(body), event]

    def cut(self, event: Cut, now: float) -> Events:
        if self._settings.on_cut == "end" and self._packer is not None:
            return self.end(End(), now)
        packer, self._packer, self._in = self._packer, None, 0
        out: Events = ()
        if self._settings.on_cut == "flush" and isinstance(packer, Flushed | Unflushed):
            out = self._leave(packer.flush())
        return [*out, *self._waiting(), event]
