"""HTTP/1 on both sides of the relay: the client's request, the upstream's answer as events, events as bytes.

Parses with h11, which is strict: what h11 refuses is answered with 400 or 502 and never forwarded, so a request cannot
be smuggled past the relay. A forwarded request has a Host and the Content-Length of the body that was read. Trailers
and informational responses are not forwarded. Sockets, files and timers are in ``relay.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
from ..sansio.trace import How, Request

try:
    import h11
except ModuleNotFoundError:
    need("h11", "The relay")
    raise

MAX_HEAD_SIZE = 65536  # bytes; the largest head of App Engine flexible and, in practice, of Apache
# h11 does not report the rest of a chunk's size. A size above every buffer makes a stage hold, as nginx does.
_UNKNOWN_REST = 1 << 40
_STATUS_LINE = b"HTTP/1."
_LONGEST_REASON = 200  # characters; h11 quotes the whole line
# Fields that Connection cannot name (RFC 9110 section 7.6.1): without them the message has no end or no address.
_END_TO_END = frozenset(("host", "content-length", "transfer-encoding"))


class BadRequest(StreamProofError):
    """The relay does not forward the client's request; it answers with ``status``."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ClientSide:
    """One connection of a client, which carries one request after the other."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE)
        self.request: Request | None = None
        """The request, once its head has come."""
        self.keep_alive = True
        self.complete = False
        """True once the whole body has come."""

    def receive(self, received: bytes) -> Sequence[bytes]:
        """Take received bytes (``b""`` at the end) and return the pieces of the request's body in them.

        Raises BadRequest when h11 refuses the request, and for CONNECT.
        """
        body: list[bytes] = []
        try:
            self._connection.receive_data(received)
            while not self.complete:
                before = self._waiting()
                event = self._connection.next_event()
                if isinstance(event, h11.Request):
                    self._head(event, before - self._waiting())
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self.complete = True
                else:
                    break
        except h11.RemoteProtocolError as error:
            raise BadRequest(f"The request is not HTTP/1: {_reason(error)}.") from None
        return body

    def _head(self, event: h11.Request, size: int) -> None:
        if size > MAX_HEAD_SIZE:  # h11 accepts a larger one that comes in one read
            raise BadRequest(f"The request's head has {size} bytes. Expected at most {MAX_HEAD_SIZE}.", 431)
        self.request = request = _request_of(event)
        self.keep_alive = request.http_version == "1.1" and "close" not in tokens(request.headers, "connection")
        if request.method == "CONNECT":
            raise BadRequest("The relay does not support CONNECT.")

    def _waiting(self) -> int:
        """The number of received bytes that h11 has not parsed yet."""
        return len(self._connection.trailing_data[0])

    @property
    def pipelined(self) -> bool:
        """True when the client sent more than this request."""
        return self.complete and self._waiting() > 0

    @property
    def expects_continue(self) -> bool:
        """True while the client waits for 100 Continue before it sends its body."""
        return self._connection.they_are_waiting_for_100_continue

    @property
    def gone(self) -> bool:
        """True once the client has closed its side."""
        return self._connection.their_state in (h11.CLOSED, h11.ERROR)


def _reason(error: h11.RemoteProtocolError) -> str:
    """What h11 says, without its type names and no longer than a line."""
    text = re.sub(r"bytearray\((.*)\)", r"\1", str(error))
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _request_of(event: h11.Request) -> Request:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
    version = "1.0" if event.http_version == b"1.0" else "1.1"
    return Request(event.method.decode("ascii"), event.target.decode("ascii"), version, headers)


class UpstreamSide:
    """One exchange with the upstream: the request's head as bytes, the response as events.

    ``size`` counts the body, which the driver sends after :attr:`first_bytes`. ``host`` is the Host of a request that
    has none, which HTTP/1.0 allows.
    """

    def __init__(self, request: Request, size: int, host: str) -> None:
        self._request, self._framing = request, "length"
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        dropped = (set(tokens(request.headers, "connection")) - _END_TO_END) | HOP_BY_HOP | {"content-length", "expect"}
        fields = [(name, value) for name, value in request.headers if name.lower() not in dropped]
        if header(request.headers, "host") is None:
            fields.insert(0, ("Host", host))
        if size or header(request.headers, "content-length") is not None:
            fields.append(("Content-Length", str(size)))
        fields.append(("Connection", "close"))
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        event = h11.Request(method=request.method.encode(), target=request.target.encode(), headers=encoded)
        head = self._connection.send(event) or b""
        if request.http_version == "1.0":  # h11 writes only 1.1
            line, rest = head.split(b"\r\n", 1)
            head = line.removesuffix(b"1.1") + b"1.0\r\n" + rest
        self.first_bytes = head
        self.fault: str | None = None
        """Why the upstream's answer is not HTTP/1, None while it is."""
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
                yield self._cut("fin")
        except h11.RemoteProtocolError as error:
            # At FIN the response is short, because the upstream died. Before FIN the bytes are not HTTP/1.
            yield self._cut("fin", _reason(error) if received else None)

    def reset(self) -> Cut | None:
        """Take a reset of the connection; return its Cut, or None after a complete response."""
        return None if self.over else self._cut("rst")

    def _cut(self, how: How, reason: str | None = None) -> Cut:
        self.over = True
        if reason is None and not self.started:
            line = bytes(self._connection.trailing_data[0][:20])
            if not line.startswith(_STATUS_LINE[: len(line)]):
                reason = f"it begins with {line!r}"
        if reason is not None:
            self.fault = f"the upstream's answer is not HTTP/1: {reason}"
        return Cut(how, None, self.fault)

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
        size = self._received - self._waiting()
        if size > MAX_HEAD_SIZE:  # h11 accepts a larger one that comes in one read
            raise h11.RemoteProtocolError(f"its head has {size} bytes, expected at most {MAX_HEAD_SIZE}")
        self._framing, self.started = framing, True
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

    def write(self, event: Event) -> Sequence[bytes | memoryview]:
        """The bytes of ``event``, without a copy of its data. A Cut has none: the relay closes the connection."""
        if type(event) is Head:
            return (self._head(event),)
        if type(event) is Data:
            if self._bodyless or not len(event.data):
                return ()
            return (b"%x\r\n" % len(event.data), event.data, b"\r\n") if self._chunked else (event.data,)
        return (b"0\r\n\r\n",) if type(event) is End and self._chunked else ()

    def _head(self, event: Head) -> bytes:
        named = set(tokens(event.headers, "connection"))
        headers = without(event.headers, *(((named - _END_TO_END) | HOP_BY_HOP) - {"connection"}))
        if named - {"close", "keep-alive"}:
            headers = without(headers, "connection")
            if kept := ", ".join(sorted(named & {"close", "keep-alive"})):
                headers = (*headers, ("Connection", kept))
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
