"""How a hop delimits the body toward its reader.

Knows RFC 9112 section 6: a body of unknown length is chunked to an HTTP/1.1 reader and ended by the close to an
HTTP/1.0 one; some hops keep a close-delimited answer close-delimited. Stands where the bytes are written, so that
stages after it count what is on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import LAST_CHUNK_SIZE, Framing, chunk_overhead, content_length, has_body, without
from ..machine import Data, End, Events, Head, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Reframe:
    """``keep_close``: a close-delimited response stays one. ``connection``: the value of Connection sent, or empty."""

    keep_close: bool = False
    connection: str = ""

    def start(self, request: Request, now: float) -> Stage:
        """The framing of one response."""
        return _Reframe(self, request)


class _Reframe(Stage):
    def __init__(self, settings: Reframe, request: Request) -> None:
        self._settings, self._request = settings, request
        self._chunked = False

    def head(self, event: Head, now: float) -> Events:
        request = self._request
        headers = without(event.headers, "transfer-encoding")
        framing: Framing
        if not has_body(request.method, event.status):
            framing = "length"
        elif content_length(headers) is not None:
            framing = "length"
        elif request.http_version == "1.0" or (event.framing == "close" and self._settings.keep_close):
            framing = "close"
        else:
            framing = "chunked"
            if request.http_version == "1.1":  # HTTP/2 and 3 have frames of their own and no such field
                headers = (*headers, ("Transfer-Encoding", "chunked"))
        connection = "close" if framing == "close" and request.http_version == "1.1" else self._settings.connection
        if connection and request.http_version in ("1.0", "1.1"):
            headers = (*headers, ("Connection", connection))
        self._chunked = framing == "chunked" and request.http_version == "1.1"
        return (event.replace(headers, framing=framing),)

    def data(self, event: Data, now: float) -> Events:
        if not self._chunked:
            return (event if event.lead == event.tail == 0 else Data(event.data),)
        if not len(event.data):
            return ()
        return (Data(event.data, chunk_overhead(len(event.data)) - 2, 2),)

    def end(self, event: End, now: float) -> Events:
        return (End(LAST_CHUNK_SIZE if self._chunked else 0),)
