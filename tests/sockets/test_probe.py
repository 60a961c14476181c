"""The raw reader against scripted servers: it stamps every arrival and distinguishes every kind of end."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from streamproof.sansio.errors import ConfigurationError
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, Trace
from streamproof.sockets.probe import ProbeError, ReaderTimeout, read
from tests.support.scripted_server import CHUNKED, Script, saying, scripted


def reading(script: Script, request: Request | None = None, **options: object) -> Trace:
    with scripted(script) as port:
        return read("127.0.0.1", port, request or Request(), **options)  # type: ignore[arg-type]


def test_an_arrival_is_reported_before_the_next_bytes_are_sent() -> None:
    reported = [threading.Event() for _ in range(3)]
    seen: list[bytes | None] = []

    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(CHUNKED)
        for number, event in enumerate(reported):
            connection.sendall(b"2\r\n%d\n\r\n" % number)
            assert event.wait(10), "the arrival was not reported while the server waited for the report"
        connection.sendall(b"0\r\n\r\n")

    def arrived(chunk: Chunk) -> None:
        reported[len(seen)].set()
        seen.append(chunk.data)

    heads: list[Response] = []
    trace = reading(script, on_arrival=arrived, on_head=heads.append)
    assert seen == [b"0\n", b"1\n", b"2\n"] == [chunk.data for chunk in trace.chunks]
    assert trace.outcome is Outcome.COMPLETE
    assert heads == [trace.response]


@pytest.mark.parametrize(
    ("said", "framing", "body"),
    [
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", "chunked", b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "length", b"hello"),
        (b"HTTP/1.1 200 OK\r\nX-Case: Kept\r\n\r\nhello", "close", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "close", b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED + b"0\r\n\r\n", "chunked", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None, b""),
    ],
)
def test_each_framing_is_read_to_its_end(said: bytes, framing: str | None, body: bytes) -> None:
    trace = reading(saying(said))
    assert (trace.outcome, trace.body) == (Outcome.COMPLETE, body)
    assert trace.response is not None
    final = said[said.rindex(b"HTTP/1.") :]
    assert trace.response.framing == framing
    assert trace.response.head_size == final.index(b"\r\n\r\n") + 4


def test_the_answer_to_a_head_request_has_no_body() -> None:
    trace = reading(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Request("HEAD"))
    assert (trace.outcome, trace.chunks) == (Outcome.COMPLETE, ())


def test_the_request_is_sent_as_it_was_given() -> None:
    heads: list[bytes] = []

    def script(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    request = Request("POST", "/a?b=c", "1.0", (("X-Case", "Kept"),))
    with scripted(script) as port:
        trace = read("127.0.0.1", port, request, body=b"x=1")
    host = f"127.0.0.1:{port}"
    expected = f"POST /a?b=c HTTP/1.0\r\nHost: {host}\r\nX-Case: Kept\r\nContent-Length: 3\r\n\r\nx=1"
    assert heads[0].decode() == expected
    assert trace.request.headers == (("Host", host), ("X-Case", "Kept"), ("Content-Length", "3"))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection was closed before a response"),
        (
            CHUNKED + b"5\r\nhello\r\n",
            "the end came early: peer closed connection without sending complete message body "
            "(incomplete chunked read)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "the end came early: peer closed connection without sending complete message body "
            "(received 5 bytes, expected 9)",
        ),
    ],
)
def test_a_close_before_the_end_is_a_cut_by_fin(said: bytes, reason: str) -> None:
    end = reading(saying(said)).end
    assert (end.outcome, end.how, end.by) == (Outcome.CUT, "fin", "upstream")
    assert end.reason == reason


def test_a_reset_is_a_cut_by_rst_and_what_came_before_is_kept() -> None:
    read_one = threading.Event()

    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
        assert read_one.wait(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    trace = reading(script, on_arrival=lambda chunk: read_one.set())
    assert (trace.outcome, trace.end.how, trace.end.by) == (Outcome.CUT, "rst", "upstream")
    assert trace.body == b"hello"


def test_a_broken_size_line_is_a_cut_and_no_end() -> None:
    trace = reading(saying(CHUNKED + b"5\r\nhello\r\nzz\r\n"))
    assert (trace.outcome, trace.end.how) == (Outcome.CUT, None)


def until_gone(connection: socket.socket, head: bytes) -> None:
    connection.sendall(CHUNKED + b"5\r\nhello\r\n")
    while connection.recv(1):
        pass


def test_the_reader_leaves_after_so_many_chunks() -> None:
    end = reading(until_gone, max_chunks=1).end
    assert (end.outcome, end.reason) == (Outcome.CLIENT_GONE, "after 1 chunk, as requested")


def test_the_reader_leaves_after_so_long() -> None:
    trace = reading(until_gone, max_seconds=0.05)
    assert (trace.outcome, trace.end.reason) == (Outcome.CLIENT_GONE, "after 0.05 s, as requested")
    assert trace.end.at >= 0.05
    assert trace.body == b"hello"


def test_silence_is_an_error_that_carries_what_came_before() -> None:
    with scripted(until_gone) as port, pytest.raises(ReaderTimeout) as caught:
        read("127.0.0.1", port, Request(), timeout=0.05)
    assert str(caught.value) == (
        f"127.0.0.1:{port} sent nothing for 0.05 s. Expected bytes or the end. Does a hop hold them, "
        "or is the app silent?"
    )
    assert caught.value.trace.body == b"hello"


def test_what_is_not_http_is_an_error() -> None:
    with scripted(saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) as port, pytest.raises(ProbeError) as caught:
        read("127.0.0.1", port, Request())
    assert str(caught.value) == (
        f"The answer from 127.0.0.1:{port} is not HTTP/1: illegal status line: 'SSH-2.0-OpenSSH_9.6'. "
        "Expected a status line, header fields and an empty line. Does this port use another protocol?"
    )


def test_no_server_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ProbeError) as caught:
        read("127.0.0.1", port, Request())
    assert str(caught.value) == (
        f"No connection to 127.0.0.1:{port}: Connection refused. Expected a server that listens there. "
        "Is the server running?"
    )


def test_a_request_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="^The request GET '/a b' cannot be sent: "):
        read("127.0.0.1", 1, Request("GET", "/a b"))
