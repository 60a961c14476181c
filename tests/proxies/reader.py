"""A reader on a raw socket: asks once and stamps each arrival before it looks at it.

Knows HTTP/1 (the library's own grammar, which is h11's), HTTP/2 (h2's) and TLS. Does not know what is between it and
the origin. One ``recv`` is one arrival; a gzip body is counted in the bytes that the reader could decode by then.
"""

from __future__ import annotations

import socket
import ssl
import time
import zlib
from typing import NamedTuple, Protocol

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from streamproof.sansio.http import content_length, header
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace
from streamproof.sockets.http1 import Conversation

from . import waits

RECV_SIZE = 1 << 18  # bytes; more than a kernel hands out at once on loopback
PATIENCE = 10.0  # seconds without a byte after which the reader leaves
_WIDE_OPEN = 2**31 - 1  # bytes; HTTP/2's largest window, so that the reader never holds anything back


class Reading(NamedTuple):
    """What came: ``started`` is when the request was sent, on the monotonic clock; the trace counts from there.

    ``late`` is the longest that the reader waited for a processor before it stamped an arrival, in seconds.
    """

    started: float
    trace: Trace
    late: float


class Talk(Protocol):
    """One exchange in some version of HTTP: bytes to send first, bytes in, body bytes out."""

    head: Response | None
    complete: bool
    fault: str | None
    first_bytes: bytes

    def receive(self, received: bytes) -> bytes: ...


class Http2:
    """The exchange of ``request`` as the only stream of an HTTP/2 connection."""

    def __init__(self, request: Request) -> None:
        self.head: Response | None = None
        self.complete = False
        self.fault: str | None = None
        self._talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
        self._talk.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WIDE_OPEN}
        )
        self._talk.initiate_connection()
        self._talk.increment_flow_control_window(_WIDE_OPEN - 65535)
        authority = header(request.headers, "host") or ""
        fields = [(":method", request.method), (":path", request.target), (":scheme", "https")]
        fields += [(":authority", authority)]
        fields += [(name.lower(), value) for name, value in request.headers if name.lower() != "host"]
        self._talk.send_headers(1, fields, end_stream=True)
        self.first_bytes = self._talk.data_to_send()

    def receive(self, received: bytes) -> bytes:
        """Take what one ``recv`` brought; return the body bytes in it."""
        if not received:
            self.fault = "the connection ended before the stream"
            return b""
        try:
            events = self._talk.receive_data(received)
        except h2.exceptions.ProtocolError as error:
            self.fault = str(error)
            return b""
        body = b""
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                pairs = tuple((str(name), str(value)) for name, value in event.headers or ())
                fields = tuple(pair for pair in pairs if not pair[0].startswith(":"))
                framing = None if content_length(fields) is None else "length"
                self.head = Response(int(dict(pairs)[":status"]), fields, framing=framing)  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                body += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                self.complete = True
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                self.fault = f"the server sent {type(event).__name__}"
        return body


def read(port: int, request: Request, tls: ssl.SSLContext | None = None) -> Reading:
    """Ask the server at ``port`` on loopback and read to the end, or until nothing came for :data:`PATIENCE`."""
    talk: Talk = Http2(request) if request.http_version == "2" else Conversation(request)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return _read(plain, request, talk)
        with tls.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            return _read(secured, request, talk)


def _read(sock: socket.socket, request: Request, talk: Talk) -> Reading:
    arrivals: list[tuple[float, bytes]] = []
    head: Response | None = None
    waited, late = waits.of_this_thread(), 0.0
    started = time.monotonic()

    def to_the_end() -> StreamEnd:
        nonlocal head, waited, late
        sock.sendall(talk.first_bytes)
        while True:
            try:
                received = sock.recv(RECV_SIZE)
            except TimeoutError:
                return StreamEnd(_since(started), Outcome.CLIENT_GONE, reason=f"nothing came for {PATIENCE:g} s")
            except (ConnectionResetError, BrokenPipeError):
                return StreamEnd(_since(started), Outcome.CUT, "rst", "upstream", "the connection was reset")
            at = _since(started)
            before, waited = waited, waits.of_this_thread()
            late = max(late, waited - before)
            data = talk.receive(received)
            if head is None and talk.head is not None:
                head = talk.head._replace(at=at)
            if data:
                arrivals.append((at, data))
            if talk.complete:
                return StreamEnd(at, Outcome.COMPLETE)
            if talk.fault is not None:
                return StreamEnd(at, Outcome.CUT, "fin", "upstream", talk.fault)

    end = to_the_end()
    return Reading(started, Trace(request, head, _decoded(head, arrivals), end), late)


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _decoded(head: Response | None, arrivals: list[tuple[float, bytes]]) -> tuple[Chunk, ...]:
    if head is None or header(head.headers, "content-encoding") not in ("gzip", "x-gzip"):
        return tuple(Chunk(at, len(data), None, data) for at, data in arrivals)
    inflate = zlib.decompressobj(31)
    plain = ((at, inflate.decompress(data)) for at, data in arrivals)
    return tuple(Chunk(at, len(data), None, data) for at, data in plain if data)
