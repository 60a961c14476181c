"""Reads one response from a raw socket, stamps every arrival, and returns a Trace: :func:`read`.

The verdict on the arrivals is in ``analysis/``, the HTTP/1 grammar in ``http1.py``. Needs the extra ``cli`` (h11).

Times are seconds from the moment before the request's first byte was sent. A chunk is the body bytes of one ``recv``:
bytes that the kernel had received together are one arrival, whatever writes the sender made.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..sansio.errors import StreamProofError
from ..sansio.trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace
from .http1 import Conversation

RECV_SIZE = 65536  # bytes; more than one TLS record (16 KiB) and than one segment


class ProbeError(StreamProofError):
    """The server cannot be reached, or its answer is not HTTP/1."""


class ReaderTimeout(StreamProofError):
    """The server was silent for longer than the reader waits; ``trace`` holds what arrived before."""

    def __init__(self, message: str, trace: Trace) -> None:
        super().__init__(message)
        self.trace = trace


class _Left(Exception):
    """The reader has reached its limit of time or chunks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(
    host: str,
    port: int,
    request: Request,
    *,
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
    timeout: float = 30.0,  # seconds of silence
    max_seconds: float | None = None,
    max_chunks: int | None = None,
    on_head: Callable[[Response], None] | None = None,
    on_arrival: Callable[[Chunk], None] | None = None,
) -> Trace:
    """Send ``request`` and read its response to the end or to a limit, then close the connection as a reader does.

    The outcome is ``complete``; or ``client_gone`` after ``max_seconds`` or ``max_chunks``; or ``cut`` by
    ``"upstream"`` with ``how`` ``"fin"`` or ``"rst"`` when bytes are missing. When no head arrived, ``response`` is
    None. A short body that only the close delimits cannot be detected (RFC 9112 section 8).

    Args:
        request: Sent unchanged, except that a missing ``Host`` and, for a body, ``Content-Length`` are added.
        timeout: The longest silence, and the longest wait for the connection, in seconds.
        max_seconds: Leave this long after the request.
        max_chunks: Leave after this many arrivals.
        on_head: Called with the head, before the first arrival.
        on_arrival: Called with each arrival, in order. An exception from it ends the reading.

    Raises:
        ReaderTimeout: The server was silent for ``timeout`` seconds.
        ProbeError: No connection, or the answer is not HTTP/1.
        ConfigurationError: The request cannot be sent as HTTP/1.
    """
    conversation = Conversation(_complete(request, host, port, tls is not None, body), body)
    chunks: list[Chunk] = []
    response: Response | None = None
    silence = f"{host}:{port} sent nothing for {timeout:g} s"
    with _connected(host, port, tls, timeout) as sock:
        started = quiet_since = time.monotonic()

        def wait() -> float:
            """Seconds until the next limit."""
            now = time.monotonic()
            until_quiet = quiet_since + timeout - now
            if max_seconds is None:
                return max(until_quiet, 0.001)
            if now - started >= max_seconds:
                raise _Left(f"after {max_seconds:g} s, as requested")
            return max(min(until_quiet, started + max_seconds - now), 0.001)

        def trace(outcome: Outcome, how: How | None = None, by: str | None = None, why: str | None = None) -> Trace:
            end = max(time.monotonic() - started, chunks[-1].at if chunks else 0.0)
            return Trace(conversation.request, response, tuple(chunks), StreamEnd(end, outcome, how, by, why))

        try:
            sock.sendall(conversation.first_bytes)
            while True:
                sock.settimeout(wait())
                try:
                    received = sock.recv(RECV_SIZE)
                except TimeoutError:
                    if time.monotonic() - quiet_since < timeout:
                        continue
                    error = f"{silence}. Expected bytes or the end. Does a hop hold them, or is the app silent?"
                    raise ReaderTimeout(error, trace(Outcome.CLIENT_GONE, why="timeout")) from None
                quiet_since = time.monotonic()
                at = quiet_since - started
                data = conversation.receive(received)
                if conversation.fault is not None and conversation.head is None and received:
                    raise ProbeError(
                        f"The answer from {host}:{port} is not HTTP/1: {conversation.fault}. Expected a status line, "
                        "header fields and an empty line. Does this port use another protocol?"
                    )
                if response is None and conversation.head is not None:
                    response = conversation.head._replace(at=at)
                    if on_head is not None:
                        on_head(response)
                if data:
                    chunks.append(Chunk(at, len(data), None, data))
                    if on_arrival is not None:
                        on_arrival(chunks[-1])
                if conversation.complete:
                    return trace(Outcome.COMPLETE)
                if conversation.fault is not None:
                    return trace(Outcome.CUT, None if received else "fin", "upstream", conversation.fault)
                if max_chunks is not None and len(chunks) >= max_chunks:
                    raise _Left(f"after {max_chunks} chunk{'s' * (max_chunks > 1)}, as requested")
        except _Left as left:
            return trace(Outcome.CLIENT_GONE, why=left.reason)
        except (ConnectionResetError, BrokenPipeError):
            return trace(Outcome.CUT, "rst", "upstream", "the connection was reset")


def _complete(request: Request, host: str, port: int, secure: bool, body: bytes) -> Request:
    present = {name.lower() for name, _ in request.headers}
    headers = request.headers
    if "host" not in present:
        name = f"[{host}]" if ":" in host else host
        headers = (("Host", name if port == (443 if secure else 80) else f"{name}:{port}"), *headers)
    if body and not present & {"content-length", "transfer-encoding"}:
        headers = (*headers, ("Content-Length", str(len(body))))
    return request._replace(headers=headers)


@contextmanager
def _connected(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> Iterator[socket.socket]:
    try:
        sock = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise ProbeError(
            f"No connection to {host}:{port}: {error.strerror or error}. Expected a server that listens there. "
            "Is the server running?"
        ) from None
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            yield sock
            return
        try:
            secured = tls.wrap_socket(sock, server_hostname=host)
        except OSError as error:
            raise ProbeError(
                f"The TLS handshake with {host}:{port} failed: {error.strerror or error}. Expected a valid certificate "
                "for this name. Does the server speak plain HTTP, or is its certificate self-signed?"
            ) from None
        with secured:
            yield secured
