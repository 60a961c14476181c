"""How a hop delimits the body toward its reader.

A body of unknown length is chunked to an HTTP/1.1 reader and ends with the close to an HTTP/1.0 one (RFC 9112 section
6). Some hops keep a close-delimited answer close-delimited. Stands where the bytes are written, so that stages after it
count what is on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import LAST_CHUNK_SIZE, Framing, chunk_overhead, content_length, has_body, tokens, without
from ..machine import Cut, Data, End, Events, Head, Stage, framed
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Reframe:
    """``keep_close``: a close-delimited response stays one.

    ``connection``: the value of Connection to an HTTP/1.1 reader, empty for no such field; ``connection10`` to an
    HTTP/1.0 one that did not ask for keep-alive. ``closes``: statuses after which the connection is closed.
    ``chunked_statuses``: the only ones that are chunked, the others end by the close; empty for all.
    ``coding_on_head``: the answer to HEAD names the coding that the body would have. ``coding_field`` and
    ``connection_field`` are the spelling of the two names. ``most``: body bytes of one chunk at most, 0 for any.
    """

    keep_close: bool = False
    connection: str = ""
    connection10: str = "close"
    closes: tuple[int, ...] = ()
    chunked_statuses: tuple[int, ...] = ()
    coding_on_head: bool = False
    coding_field: str = "Transfer-Encoding"
    connection_field: str = "Connection"
    most: int = 0

    def start(self, request: Request, now: float) -> Stage:
        """The framing of one response."""
        return _Reframe(self, request)


class _Reframe(Stage):
    def __init__(self, settings: Reframe, request: Request) -> None:
        self._settings, self._request = settings, request
        self._old = request.http_version == "1.0"
        self._wire = request.http_version in ("1.0", "1.1")  # HTTP/2 and 3 have frames of their own
        self._chunked = self._empty = False

    def head(self, event: Head, now: float) -> Events:
        settings, request = self._settings, self._request
        headers = without(event.headers, "transfer-encoding")
        self._empty = not has_body(request.method, event.status)
        framing: Framing
        if content_length(headers) is not None or (self._empty and request.method != "HEAD"):
            framing = "length"
        elif self._old or (event.framing == "close" and settings.keep_close) or not self._chunkable(event.status):
            framing = "close"
        else:
            framing = "chunked"
        added = []
        if framing == "chunked" and request.http_version == "1.1" and (settings.coding_on_head or not self._empty):
            added.append((settings.coding_field, "chunked"))
        if self._wire and (connection := self._connection(framing, event.status)):
            added.append((settings.connection_field, connection))
        if self._empty:
            framing = "length"
        self._chunked = framing == "chunked" and request.http_version == "1.1"
        return (event.replace((*headers, *added), framing=framing),)

    def _chunkable(self, status: int) -> bool:
        only = self._settings.chunked_statuses
        return not only or status in only

    def _connection(self, framing: Framing, status: int) -> str:
        if not self._old:
            return "close" if framing == "close" or status in self._settings.closes else self._settings.connection
        asked = "keep-alive" in tokens(self._request.headers, "connection")
        return "keep-alive" if asked and framing == "length" else self._settings.connection10

    def data(self, event: Data, now: float) -> Events:
        if not self._chunked:
            if self._empty:
                return ()
            return (event if event.lead == event.tail == 0 else Data(event.data),)
        size, most = len(event.data), self._settings.most
        if most and size > most:
            return [framed(event.data[start : start + most], "chunked") for start in range(0, size, most)]
        return (Data(event.data, chunk_overhead(size) - 2, 2),) if size else ()

    def cut(self, event: Cut, now: float) -> Events:
        return (End(),) if self._empty else (event,)  # the reader expects no more than the head

    def end(self, event: End, now: float) -> Events:
        return (End(LAST_CHUNK_SIZE if self._chunked else 0),)
