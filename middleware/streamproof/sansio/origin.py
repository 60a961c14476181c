"""What an app's server puts on the wire for a response: its framing, its head, the bytes around each chunk.

:class:`AppServer` holds the facts about one server; they come from ``profiles/servers.py``. Replay, the hops inside a
process and the test transports all call it, so that the first hop receives the same from each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .http import LAST_CHUNK_SIZE, Framing, Headers, content_length, has_body, head_size, header
from .machine import Data, End, Head, framed
from .trace import Request, Response


class Origin(NamedTuple):
    """One response on the wire between the app's server and the first hop.

    ``has_body``: can the response carry a body?
    """

    head: Head
    has_body: bool

    def data(self, data: bytes | memoryview) -> Data:
        """Return ``data`` as the server writes it, in one write."""
        return framed(data, self.head.framing)

    def end(self) -> End:
        """Return the end of a complete body as the server writes it."""
        return End(LAST_CHUNK_SIZE if self.head.framing == "chunked" and self.has_body else 0)


@dataclass(frozen=True, slots=True)
class AppServer:
    """How one server delimits a body of unknown length, by the request's version, and the header fields it adds.

    The defaults follow RFC 9112 section 6: chunked coding for HTTP/1.1, closing the connection for HTTP/1.0.
    """

    http11: Framing = "chunked"
    http10: Framing = "close"
    adds: Headers = ()

    def answer(self, response: Response, request: Request) -> Origin:
        """Return what this server writes when its app gives ``response`` to ``request``.

        A framing or a head size that the response has already, because it was measured, stays.
        """
        framing = response.framing or self._framing(response, request)
        size = response.head_size
        if size is None:
            size = head_size(response.status, self._fields(response, framing))
        head = Head(response.status, response.headers, framing, size)
        return Origin(head, has_body(request.method, response.status))

    def _framing(self, response: Response, request: Request) -> Framing:
        if content_length(response.headers) is not None or not has_body(request.method, response.status):
            return "length"
        return self.http10 if request.http_version == "1.0" else self.http11

    def _fields(self, response: Response, framing: Framing) -> list[tuple[str, str]]:
        """The header fields on the wire. A measured framing means that the server's own fields are there already."""
        fields = list(response.headers)
        if response.framing is None:
            fields += [field for field in self.adds if header(response.headers, field[0].lower()) is None]
            if framing == "chunked" and header(fields, "transfer-encoding") is None:
                fields.append(("Transfer-Encoding", "chunked"))
        return fields
