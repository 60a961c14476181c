"""One HTTP/1 exchange from the reader's side: the request as bytes, the response as a head and body bytes.

Parses with h11. Opens no socket and reads no clock; ``probe.py`` does both. h11 writes only HTTP/1.1 requests, so the
version in the request line of an HTTP/1.0 request is replaced afterwards.
"""

from __future__ import annotations

import re

from ..extras import need
from ..sansio.errors import ConfigurationError
from ..sansio.http import Framing, content_length, has_body, tokens
from ..sansio.trace import Request, Response

try:
    import h11
except ModuleNotFoundError:
    need("h11", "Reading from a socket")
    raise

MAX_HEAD_SIZE = 65536  # bytes; four times h11's default, because responses with many cookies are valid


class Conversation:
    """The exchange of one ``request``. Raises ConfigurationError when the request cannot be sent as HTTP/1.

    ``head`` is the final response (its ``at`` is 0). ``complete`` is true once the whole body has arrived. ``fault``
    is the reason why it cannot become complete.
    """

    def __init__(self, request: Request, body: bytes = b"") -> None:
        self.request = request
        self.head: Response | None = None
        self.complete = False
        self.fault: str | None = None
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._received = 0
        try:
            self.first_bytes = self._write(body)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise ConfigurationError(
                f"The request {request.method} {request.target!r} cannot be sent: {error}. Expected a token as the "
                "method, a target without spaces and fields as 'Name: value'."
            ) from None

    def _write(self, body: bytes) -> bytes:
        request = self.request
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        event = h11.Request(method=request.method.encode(), target=request.target.encode(), headers=fields)
        head = self._connection.send(event) or b""
        if request.http_version == "1.0":
            line, rest = head.split(b"\r\n", 1)
            head = line.removesuffix(b"1.1") + b"1.0\r\n" + rest
        for last in (h11.Data(data=body), h11.EndOfMessage()) if body else (h11.EndOfMessage(),):
            head += self._connection.send(last) or b""
        return head

    def receive(self, received: bytes) -> bytes:
        """Take the bytes of one ``recv`` (``b""`` at the end of the connection) and return the body bytes in them."""
        body = []
        self._received += len(received)
        try:
            self._connection.receive_data(received)
            while not self.complete:
                event = self._connection.next_event()
                if isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self.complete = True
                elif isinstance(event, h11.Response):
                    self.head = self._head(event)
                elif isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                    self._received = self._left_over()
                elif event is h11.NEED_DATA:
                    break
                else:
                    self.fault = "the server switched to another protocol or sent nothing more"
                    break
        except h11.RemoteProtocolError as error:
            self.fault = self._fault(error, ended=not received)
        return b"".join(body)

    def _fault(self, error: h11.RemoteProtocolError, *, ended: bool) -> str:
        if ended and self.head is None:
            return "the connection was closed before a response"
        message = re.sub(r"bytearray\(b(.*)\)", r"\1", str(error))
        return f"the end came early: {message}" if ended else message

    def _left_over(self) -> int:
        return len(self._connection.trailing_data[0])

    def _head(self, event: h11.Response) -> Response:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        framing: Framing | None = None
        if "chunked" in tokens(headers, "transfer-encoding"):
            framing = "chunked"
        elif content_length(headers) is not None:
            framing = "length"
        elif has_body(self.request.method, event.status_code):
            framing = "close"
        return Response(event.status_code, headers, 0.0, self._received - self._left_over(), framing)
