"""Hostile clients and upstreams at a real relay: each request gets an answer or a clean close, and nothing raises."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproof.sockets.exchange import BadRequest
from streamproof.sockets.relay import Exchange, relaying

from .duration import fuzzer
from .wire import accepted, pieces, requests, responses

VIAS = ["passthrough", "nginx", "azure-functions", "varnish:do_gzip=true"]
VALID = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE = 20  # seconds; only a relay that hangs needs them


class Upstream:
    """Answers each connection with the bytes of :attr:`reads`, whatever it is asked, then ends it."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.end = "fin"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End its thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                sock.recv(65536)
                for read in self.reads:
                    sock.sendall(read)
                if self.end == "rst":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Errors(logging.Handler):
    """Collects what asyncio logs: the exceptions that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


class Bench:
    """A relay between the test and its :class:`Upstream`."""

    def __init__(self, via: str) -> None:
        self.upstream = Upstream()
        self.ended = threading.Event()
        self.errors = Errors()
        logging.getLogger("asyncio").addHandler(self.errors)
        self._stack = contextlib.ExitStack()
        _, self.port = self._stack.enter_context(relaying(via, self.upstream.address, on_change=self._changed))

    def _changed(self, exchange: Exchange) -> None:
        if exchange.ended_at is not None:
            self.ended.set()

    def close(self) -> None:
        """End the relay and the upstream."""
        logging.getLogger("asyncio").removeHandler(self.errors)
        self._stack.close()
        self.upstream.close()

    def ask(self, reads: list[bytes], *, whole: bool) -> bytes:
        """Everything that comes back for ``reads``; the client closes its side once a ``whole`` request is answered."""
        self.ended.clear()
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock, contextlib.suppress(ConnectionError):
            for read in reads:
                sock.sendall(read)
            if whole:
                assert self.ended.wait(PATIENCE), "the exchange never ended"
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(65536):
                received += more
        return received


BENCHES: dict[str, Bench] = {}


def bench(via: str) -> Bench:
    """The relay of ``via``, which stays until the tests of this file end."""
    if via not in BENCHES:
        BENCHES[via] = Bench(via)
    return BENCHES[via]


@pytest.fixture(scope="module", autouse=True)
def _closed_benches() -> Iterator[None]:
    yield
    for each in BENCHES.values():
        each.close()
    BENCHES.clear()


@contextlib.contextmanager
def nothing_raised(relay: Bench) -> Iterator[None]:
    yield
    assert not relay.errors.texts


@fuzzer(examples=60, parts=2)
@given(requests().flatmap(pieces), st.sampled_from(VIAS))
@example([b"GET / HTTP/1.0\r\n\r\n"], "passthrough")
@example([b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n"], "passthrough")
@example([VALID, VALID], "passthrough")
@example([VALID + VALID], "passthrough")
def test_every_request_is_answered(reads: list[bytes], via: str) -> None:
    relay = bench(via)
    relay.upstream.reads, relay.upstream.end = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], "fin"
    try:
        whole, status = accepted(reads) is not None, b"200"
    except BadRequest as error:
        whole, status = False, b"%d" % error.status
        if len(b"".join(reads)) > 200_000:  # the relay may answer and close before all has been sent
            return
    with nothing_raised(relay):
        received = relay.ask(reads, whole=whole)
    assert received.startswith(b"HTTP/1.1 " + status) or (not whole and status == b"200" and not received)


@fuzzer(examples=60, parts=2)
@given(responses().flatmap(pieces), st.sampled_from(["fin", "rst"]), st.sampled_from(VIAS))
@example([b"SSH-2.0-OpenSSH_9.2\r\n"], "fin", "passthrough")
@example([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"], "fin", "passthrough")
@example([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip"], "fin", "varnish:do_gzip=true")
def test_every_answer_of_an_upstream_reaches_the_client_as_http_or_a_close(
    reads: list[bytes], end: str, via: str
) -> None:
    relay = bench(via)
    relay.upstream.reads, relay.upstream.end = reads, end
    with nothing_raised(relay):
        received = relay.ask([VALID], whole=True)
    assert not received or received.startswith(b"HTTP/1.1 ")
    if reads and not b"".join(reads).startswith((b"H", b"\r")):
        assert received.startswith((b"HTTP/1.1 50", b"HTTP/1.1 200")) or end == "rst"
