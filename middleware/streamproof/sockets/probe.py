"""Reads one response from a raw socket and stamps every arrival: :func:`read` returns it as a Trace.

Knows sockets, the monotonic clock and, through h11, the HTTP/1 grammar. Knows neither apps nor hops nor what the
numbers mean. Called by the commands and by the tests; needs the extra ``cli`` (h11).

Times are seconds from the moment before the request's first byte was sent. A chunk is what one ``recv`` brought,
less framing: bytes that the kernel had together are one arrival, however the sender had cut them.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..sansio.errors import StreamProofError
from ..sansio.trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace
from .http1 import Conversation

RECV_SIZE = 65536  # bytes; more than one TLS record (16 KiB) and than one segment


class ProbeError(StreamProofError):
    """The server cannot be reached, or what it sent is not HTTP/1."""


class ReaderTimeout(StreamProofError):
    """Nothing came for longer than the reader would wait; ``trace`` is what came before."""

    def __init__(self, message: str, trace: Trace) -> None:
        super().__init__(message)
        self.trace = trace


class _Left(Exception):
    """The reader has read as long, or as much, as it was asked to."""

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
    """Send ``request`` and read its response to the end, or until the limits, then leave as a reader would.

    How it ends: ``complete``; ``cut`` by ``"upstream"`` with ``how`` ``"fin"`` or ``"rst"`` when bytes are missing,
    also when not even a head came (``response`` is None then); ``client_gone`` after ``max_seconds`` or ``max_chunks``.
    A body that only the close delimits cannot be seen to be short (RFC 9112 section 8).

    Args:
        request: Sent as it is; ``Host`` and, for a body, ``Content-Length`` are added when missing.
        timeout: The longest silence, also for the connection.
        max_seconds: Leave so long after the request.
        max_chunks: Leave after so many arrivals.
        on_head: Called with the head, before the first arrival.
        on_arrival: Called with each arrival, in the order of their bytes. What it raises ends the reading.

    Raises:
        ReaderTimeout: Nothing came for ``timeout``.
        ProbeError: No connection, or the answer is not HTTP/1.
        ConfigurationError: The request cannot be sent as HTTP/1.
    """
    talk = Conversation(_complete(request, host, port, tls is not None, body), body)
    chunks: list[Chunk] = []
    response: Response | None = None
    silence = f"Nothing came from {host}:{port} for {timeout:g} s"
    with _connected(host, port, tls, timeout) as sock:
        started = quiet_since = time.monotonic()

        def wait() -> float:
            """Seconds until the next limit."""
            now = time.monotonic()
            until_quiet = quiet_since + timeout - now
            if max_seconds is None:
                return max(until_quiet, 0.001)
            if now - started >= max_seconds:
                raise _Left(f"after {max_seconds:g} s, as asked")
            return max(min(until_quiet, started + max_seconds - now), 0.001)

        def trace(outcome: Outcome, how: How | None = None, by: str | None = None, why: str | None = None) -> Trace:
            end = max(time.monotonic() - started, chunks[-1].at if chunks else 0.0)
            return Trace(talk.request, response, tuple(chunks), StreamEnd(end, outcome, how, by, why))

        try:
            sock.sendall(talk.first_bytes)
            while True:
                sock.settimeout(wait())
                try:
                    received = sock.recv(RECV_SIZE)
                except TimeoutError:
                    if time.monotonic() - quiet_since < timeout:
                        continue
                    error = f"{silence}. Expected bytes or an end. Is a hop holding them, or is the app silent so long?"
                    raise ReaderTimeout(error, trace(Outcome.CLIENT_GONE, why="timeout")) from None
                quiet_since = time.monotonic()
                at = quiet_since - started
                data = talk.receive(received)
                if talk.fault is not None and talk.head is None and received:
                    raise ProbeError(
                        f"The answer of {host}:{port} is not HTTP/1: {talk.fault}. Expected a status line, fields and "
                        "an empty line. Is another protocol spoken at this port?"
                    )
                if response is None and talk.head is not None:
                    response = replace(talk.head, at=at)
                    if on_head is not None:
                        on_head(response)
                if data:
                    chunks.append(Chunk(at, len(data), None, data))
                    if on_arrival is not None:
                        on_arrival(chunks[-1])
                if talk.complete:
                    return trace(Outcome.COMPLETE)
                if talk.fault is not None:
                    return trace(Outcome.CUT, None if received else "fin", "upstream", talk.fault)
                if max_chunks is not None and len(chunks) >= max_chunks:
                    raise _Left(f"after {max_chunks} chunk{'s' * (max_chunks > 1)}, as asked")
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
    return replace(request, headers=headers)


@contextmanager
def _connected(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> Iterator[socket.socket]:
    try:
        sock = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise ProbeError(
            f"No connection to {host}:{port}: {error.strerror or error}. Expected a server that listens there. "
            "Is it running, and on this port?"
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
                f"No TLS with {host}:{port}: {error.strerror or error}. Expected a certificate for this name. "
                "Does the server speak plain HTTP there, or is the certificate its own?"
            ) from None
        with secured:
            yield secured
