"""HTTP/1 on both sides of the relay: the client's request, the upstream's answer as events, events as bytes.

Parses with h11, which is strict: what h11 refuses is answered with 400 or 502 and never forwarded, so a request cannot
be smuggled past the relay. A forwarded request has the Content-Length of the body that was read. Trailers and
informational responses are not forwarded. Sockets and timers are in ``relay.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..extras import need
from ..sansio.errors import StreamProofError
from ..sansio.http import (
    HOP_BY_HOP,
    LAST_CHUNK_SIZE,
    Framing,
    content_length,
    has_body,
    header,
    reason,
    tokens,
    without,
)
from ..sansio.machine import Cut, Data, End, Event, Head
from ..sansio.trace import Request

try:
    import h11
except ModuleNotFoundError:
    need("h11", "The relay")
    raise

MAX_HEAD_SIZE = 65536  # bytes; the largest head of App Engine flexible and, in practice, of Apache
# h11 does not report the rest of a chunk's size. A size above every buffer makes a stage hold, as nginx does.
_UNKNOWN_REST = 1 << 40


class BadRequest(StreamProofError):
    """The relay does not forward the client's request."""


class ClientSide:
    """One connection of a client, which carries one request after the other."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._request: Request | None = None
        self._body = bytearray()
        self.keep_alive = True

    def receive(self, received: bytes) -> tuple[Request, bytes] | None:
        """Take received bytes (``b""`` at the end) and return the request and its body once both are complete.

        Raises BadRequest when h11 refuses the request, and for CONNECT.
        """
        try:
            self._connection.receive_data(received)
            return self._next()
        except h11.RemoteProtocolError as error:
            raise BadRequest(f"The request is not HTTP/1: {error}.") from None

    def _next(self) -> tuple[Request, bytes] | None:
        while True:
            event = self._connection.next_event()
            if isinstance(event, h11.Request):
                self._request = _request_of(event)
                self.keep_alive = self._request.http_version == "1.1" and "close" not in tokens(
                    self._request.headers, "connection"
                )
                if self._request.method == "CONNECT":
                    raise BadRequest("The relay does not support CONNECT.")
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                return self._request, bytes(self._body)
            else:
                return None

    @property
    def expects_continue(self) -> bool:
        """True while the client waits for 100 Continue before it sends its body."""
        return self._connection.they_are_waiting_for_100_continue

    @property
    def gone(self) -> bool:
        """True once the client has closed its side."""
        return self._connection.their_state in (h11.CLOSED, h11.ERROR)


def _request_of(event: h11.Request) -> Request:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
    version = "1.0" if event.http_version == b"1.0" else "1.1"
    return Request(event.method.decode("ascii"), event.target.decode("ascii"), version, headers)


class UpstreamSide:
    """One exchange with the upstream: the request as bytes, the response as events."""

    def __init__(self, request: Request, body: bytes) -> None:
        self._request, self._framing = request, "length"
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        named = set(tokens(request.headers, "connection")) | HOP_BY_HOP | {"content-length", "expect"}
        fields = [(name, value) for name, value in request.headers if name.lower() not in named]
        if body or header(request.headers, "content-length") is not None:
            fields.append(("Content-Length", str(len(body))))
        fields.append(("Connection", "close"))
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        event = h11.Request(method=request.method.encode(), target=request.target.encode(), headers=encoded)
        head = self._connection.send(event) or b""
        if request.http_version == "1.0":  # h11 writes only 1.1
            line, rest = head.split(b"\r\n", 1)
            head = line.removesuffix(b"1.1") + b"1.0\r\n" + rest
        for last in (h11.Data(data=body), h11.EndOfMessage()) if body else (h11.EndOfMessage(),):
            head += self._connection.send(last) or b""
        self.first_bytes = head
        self._received = self._crlf_due = 0
        self.over = False
        self.started = False

    def receive(self, received: bytes) -> Iterator[Event]:
        """Yield the events in the bytes of one read (``b""`` for FIN). :attr:`over` is true after an End or a Cut."""
        self._received += len(received)
        try:
            self._connection.receive_data(received)
            yield from self._events()
            if not received and not self.over:
                self.over = True
                yield Cut("fin")
        except h11.RemoteProtocolError as error:
            self.over = True
            # At FIN the body is short, because the upstream died. Before FIN the bytes are not HTTP/1.
            yield Cut("fin", None, None if not received else f"the upstream's answer is not HTTP/1: {error}")

    def reset(self) -> Cut | None:
        """Take a reset of the connection; return its Cut, or None after a complete response."""
        if self.over:
            return None
        self.over = True
        return Cut("rst")

    def _events(self) -> Iterator[Event]:
        while not self.over:
            before = self._waiting()
            event = self._connection.next_event()
            if isinstance(event, h11.Response):
                yield self._head(event)
            elif isinstance(event, h11.InformationalResponse):
                self._received = self._waiting()
            elif isinstance(event, h11.Data):
                yield self._data(event, before - self._waiting())
            elif isinstance(event, h11.EndOfMessage):
                self.over = True
                yield End(LAST_CHUNK_SIZE if self._framing == "chunked" else 0)
            else:
                self._crlf_due -= min(before - self._waiting(), self._crlf_due)
                return

    def _head(self, event: h11.Response) -> Head:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        framing: Framing = "close"
        if not has_body(self._request.method, event.status_code) or content_length(headers) is not None:
            framing = "length"
        if "chunked" in tokens(headers, "transfer-encoding"):
            framing = "chunked"
        self._framing, self.started = framing, True
        size = self._received - self._waiting()
        return Head(event.status_code, headers, framing, size)

    def _waiting(self) -> int:
        """The number of received bytes that h11 has not parsed yet."""
        return len(self._connection.trailing_data[0])

    def _data(self, event: h11.Data, consumed: int) -> Data:
        """The body bytes of ``event`` and the size of their framing; h11 parsed ``consumed`` bytes for it."""
        data = bytes(event.data)
        if self._framing != "chunked":
            return Data(data)
        lead = consumed - len(data) - self._crlf_due if event.chunk_start else 0
        # h11 parses the CRLF after a chunk together with the next event.
        self._crlf_due = 2 if event.chunk_end else 0
        return Data(data, lead, self._crlf_due, 0 if event.chunk_end else _UNKNOWN_REST)


class ReaderSide:
    """Turns the events that leave the last hop into bytes for the client."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._chunked = self._bodyless = False
        #: True when the connection closes after this response.
        self.close = True

    def write(self, event: Event) -> bytes:
        """The bytes of ``event``. A Cut has none: the relay closes the connection."""
        if type(event) is Head:
            return self._head(event)
        if type(event) is Data:
            if self._bodyless or not len(event.data):
                return b""
            data = bytes(event.data)
            return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        return b"0\r\n\r\n" if type(event) is End and self._chunked else b""

    def _head(self, event: Head) -> bytes:
        headers = without(event.headers, "transfer-encoding", *(HOP_BY_HOP - {"connection"}))
        self._bodyless = not has_body(self._request.method, event.status)
        self._chunked = event.framing == "chunked" and not self._bodyless
        self.close = event.framing == "close" and not self._bodyless
        if self._chunked and self._request.http_version == "1.0":
            self._chunked, self.close = False, True
        if self._chunked:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        if self.close:
            headers = (*without(headers, "connection"), ("Connection", "close"))
        elif "close" in tokens(headers, "connection"):
            self.close = True
        lines = [f"HTTP/1.1 {event.status} {reason(event.status)}", *(f"{name}: {value}" for name, value in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def own_answer(status: int, text: str) -> bytes:
    """The relay's own response, for cases that no hop answers: ``text`` with ``status``, then the close."""
    body = (text + "\n").encode("utf-8", "replace")
    head = f"HTTP/1.1 {status} {reason(status)}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode("ascii") + body
