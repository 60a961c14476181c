"""The relay delivers on real sockets what replay predicts, and is gone when it ends."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from streamproof import ConfigurationError
from streamproof.profiles import resolve
from streamproof.sansio.trace import Outcome, Request
from streamproof.sockets.exchange import BadRequest, ClientSide
from streamproof.sockets.relay import SPOOL_SIZE, WRITE_SIZE, Exchange, relaying

from ..proxies.judge import Verdict, against_replay, play_again
from ..proxies.origin import Origin
from ..proxies.reader import read
from ..proxies.schedules import Schedule, Write, evenly, sizes
from ..proxies.stage import Stage
from ..proxies.suite import short

VIAS = [
    "passthrough",
    "nginx",
    "nginx:proxy_http_version=1.1",
    "nginx:gzip=on,gzip_types=text/plain text/csv text/event-stream",
    "nginx:proxy_http_version=1.1+nginx",
    "gae-standard",
    "gae-flex",
    "haproxy",
    "apache:AddOutputFilterByType=text/plain text/csv text/event-stream",
    "heroku",
]

SCHEDULES = [
    Schedule("tokens", evenly(6, 20), kind="sse"),
    Schedule("tokens-gzip", evenly(6, 20), kind="sse", gzip=True),
    Schedule("close", evenly(6, 900), "close"),
    Schedule("length", evenly(6, 900), "length"),
    Schedule("large", sizes(70_000, 20, 20, every=0.03), "chunked", "csv"),
    Schedule("silence", (Write(700), Write(20, 0.25)), kind="sse"),
    Schedule("unbuffered", evenly(5, 100), "close", headers=(("X-Accel-Buffering", "no"),)),
    Schedule("dies-fin", evenly(4, 1500), dies="fin"),
    Schedule("dies-rst", evenly(4, 1500), "close", dies="rst"),
    Schedule("dies-early", dies="fin", headless=True),
    Schedule("head", evenly(2, 100), method="HEAD"),
    Schedule("no-content", framing="length", status=204),
    Schedule("http10", evenly(4, 100), http_version="1.0"),
]


@contextmanager
def staged(via: str) -> Iterator[Stage]:
    with Origin() as origin, relaying(via, ("127.0.0.1", origin.port)) as (_, port):
        yield Stage(origin, port, hops={os.getpid()})


def disagreements(stage: Stage, schedule: Schedule, via: str) -> Sequence[object]:
    """In what the relay's delivery differs from the replay; what lateness or noise explains is played again."""
    take = stage.play(schedule)
    verdict = Verdict("relay", via, schedule.name, [take], against_replay(take, via))
    if not verdict.agrees:
        play_again(stage, schedule, verdict)
    return [] if verdict.agrees else [verdict]


@pytest.mark.servers
@pytest.mark.parametrize("via", VIAS)
def test_the_relay_delivers_what_replay_predicts(via: str) -> None:
    with staged(via) as stage:
        found = {schedule.name: disagreements(stage, schedule, via) for schedule in SCHEDULES}
    assert not {name: [str(one) for one in each] for name, each in found.items() if each}


@pytest.mark.servers
@pytest.mark.parametrize("via", ["nginx:proxy_http_version=1.1", "haproxy"])
def test_the_relay_delivers_every_schedule_of_the_suite(via: str) -> None:
    """The schedules that the real proxies are held to, 1-byte edges of every buffer and dying origins among them."""
    with staged(via) as stage, ThreadPoolExecutor(2) as pool:
        schedules = short()
        found = dict(
            zip(
                (schedule.name for schedule in schedules),
                pool.map(lambda schedule: disagreements(stage, schedule, via), schedules),
                strict=True,
            )
        )
    assert not {name: [str(one) for one in each] for name, each in found.items() if each}


@pytest.mark.servers
def test_the_comparison_with_the_relay_can_fail() -> None:
    """A relay that runs other hops than the replay must disagree."""
    with staged("gae-standard") as stage:
        assert disagreements(stage, SCHEDULES[0], "passthrough")


def exchange_raw(port: int, raw: bytes) -> bytes:
    """Everything that comes back for ``raw``."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(raw)
        received = b""
        while more := sock.recv(65536):
            received += more
        return received


def test_what_is_not_http_is_refused_and_never_passed_on() -> None:
    with Origin() as origin, relaying("passthrough", ("127.0.0.1", origin.port)) as (_, port):
        smuggled = (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x"
        )
        assert exchange_raw(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert exchange_raw(port, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert exchange_raw(port, smuggled).count(b"HTTP/1.1 ") == 1


def test_an_unreachable_upstream_is_answered_with_502() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    for via, words in (("passthrough", b"No upstream at 127.0.0.1"), ("nginx", b"502")):
        with relaying(via, ("127.0.0.1", nobody)) as (_, port):
            answer = exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert words in answer


@contextmanager
def scripted(answer: bytes, *, reads_body: bool = True) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """An upstream that reads one request, sends ``answer`` and closes; yields its address and the request."""
    seen: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(65536)
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            size = len(body)
            while reads_body and length is not None and size < int(length[1]):
                size += len(sock.recv(1 << 20))
            seen.append(head + b"\r\n%d" % size)
            with suppress(OSError):
                sock.sendall(answer)
            released.wait(0 if reads_body else 10)

    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield ("127.0.0.1", listener.getsockname()[1]), seen
        finally:
            released.set()
            thread.join(10)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("request_", "host"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host, close\r\n\r\n", b"a"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a, close\r\nX-A: 1\r\n\r\n", b"a"),
    ],
)
@pytest.mark.parametrize("via", ["passthrough", "nginx", "haproxy"])
def test_a_forwarded_request_always_has_a_host(request_: bytes, host: bytes | None, via: str) -> None:
    with scripted(OK) as (upstream, seen), relaying(via, upstream) as (_, port):
        assert exchange_raw(port, request_).startswith(b"HTTP/1.1 200 ")
    assert b"\r\nHost: " + (host or b"127.0.0.1:%d" % upstream[1]) + b"\r\n" in seen[0]
    assert b"X-A" not in seen[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"garbage",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
)
def test_what_is_not_http_from_the_upstream_is_answered_with_502(answer: bytes) -> None:
    with scripted(answer) as (upstream, _), relaying("passthrough", upstream) as (_, port):
        received = exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"No response: the upstream's answer is not HTTP/1: " in received
    assert len(received) < 1000


def test_an_upstream_that_closes_without_a_byte_is_passed_on_as_it_is() -> None:
    with scripted(b"") as (upstream, _), relaying("passthrough", upstream) as (_, port):
        assert exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b""


def test_a_body_that_is_not_gzip_is_cut_by_a_hop_that_unpacks() -> None:
    """The hop cuts before its head has left: the reader gets a bare close, as replay predicts, and no traceback."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip"
    with scripted(answer) as (upstream, _), relaying("varnish:do_gzip=true", upstream) as (_, port):
        assert exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b""


def test_fields_that_connection_names_end_at_the_relay() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: X-A, close\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok"
    with scripted(answer) as (upstream, _), relaying("passthrough", upstream) as (_, port):
        received = exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"X-A" not in received
    assert b"X-B: 2\r\n" in received
    assert b"Connection: close\r\n" in received


def test_a_head_above_the_limit_is_refused_in_one_read_too() -> None:
    with relaying("passthrough", ("127.0.0.1", 9)) as (_, port):
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 70_000 + b"\r\n\r\n"
        assert exchange_raw(port, raw).startswith(b"HTTP/1.1 4")
    client = ClientSide()
    with pytest.raises(BadRequest, match=r"^The request's head has 700\d\d bytes\. Expected at most 65536\.$"):
        client.receive(raw)


@pytest.mark.parametrize("size", [0, 1, WRITE_SIZE, SPOOL_SIZE - 1, SPOOL_SIZE + 1, 3 * SPOOL_SIZE])
def test_a_request_body_arrives_whole_from_memory_and_from_the_file(size: int) -> None:
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    with scripted(OK) as (upstream, seen), relaying("passthrough", upstream) as (_, port):
        assert exchange_raw(port, raw).endswith(b"\r\n\r\nok")
    assert seen[0].endswith(b"\r\n%d" % size)


def test_an_upstream_may_answer_before_it_has_read_the_body() -> None:
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (32 << 20)
    with scripted(answer, reads_body=False) as (upstream, _), relaying("passthrough", upstream) as (_, port):
        assert exchange_raw(port, raw + b"x" * (32 << 20)).startswith(b"HTTP/1.1 413 ")


def test_a_response_above_max_held_is_answered_by_the_relay() -> None:
    seen: list[Exchange] = []
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with (
        scripted(answer) as (upstream, _),
        relaying("azure-functions", upstream, max_held=4999, on_change=seen.append) as (_, port),
    ):
        received = exchange_raw(port, ask)
    assert received.startswith(b"HTTP/1.1 507 ")
    assert b"azure-functions holds more than 4999 bytes of this response" in received
    assert seen[-1].outcome == "cut by the relay: azure-functions holds more than 4999 B"
    with scripted(answer) as (upstream, _), relaying("azure-functions", upstream, max_held=5000) as (_, port):
        assert exchange_raw(port, ask).endswith(b"x" * 5000)


def test_a_response_above_max_held_is_reset_once_its_head_has_left() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\n" + b"x" * 70_000
    with (
        scripted(answer) as (upstream, _),
        relaying("nginx", upstream, max_held=0) as (_, port),
        pytest.raises(ConnectionResetError),
    ):
        exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def test_a_response_that_has_ended_keeps_nothing_in_memory() -> None:
    """Watchers keep the last exchanges, so an exchange must not keep what its hops held."""
    seen: list[Exchange] = []
    with scripted(OK) as (upstream, _), relaying("azure-functions", upstream, on_change=seen.append) as (_, port):
        exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert seen[-1].chain is None
    assert (seen[-1].held, seen[-1].holds()) == (0, [])


def test_two_requests_in_one_read_get_an_answer_and_a_close() -> None:
    ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with scripted(OK) as (upstream, _), relaying("passthrough", upstream) as (_, port):
        assert exchange_raw(port, ask + ask).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("host", ["a" * 70, "a..b"])
def test_a_host_that_cannot_exist_is_answered_with_502(host: str) -> None:
    with relaying("passthrough", (host, 80)) as (_, port):
        received = exchange_raw(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"No upstream at " in received


def test_a_hop_with_tls_wants_a_certificate() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"^The via 'nginx:tls=on' speaks TLS to the reader, and tls is None\."),
        relaying("nginx:tls=on", ("127.0.0.1", 1)),
    ):
        pass


def test_one_connection_carries_one_response_after_the_other() -> None:
    with Origin() as origin, relaying("heroku", ("127.0.0.1", origin.port)) as (_, port):
        ask = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            for _ in range(3):
                sock.sendall(ask)
                received = b""
                while not received.endswith(b"ready\n"):
                    received += sock.recv(65536)
                assert received.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_reader_who_leaves_frees_the_upstream() -> None:
    """The origin's next write fails because the relay closed its side: the reader's leaving is passed on."""
    ended = threading.Event()
    seen: list[Exchange] = []

    def watch(exchange: Exchange) -> None:
        seen.append(exchange)
        if exchange.ended_at is not None:
            ended.set()

    with (
        Origin() as origin,
        relaying("passthrough", ("127.0.0.1", origin.port), on_change=watch) as (_, port),
    ):
        play = origin.expect(Schedule("endless", evenly(500, 100)))
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(f"GET {play.target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert sock.recv(1)
        assert ended.wait(5)
        assert play.over.wait(5)
    assert seen[-1].outcome == "client_gone"
    assert play.answers[-1].outcome is Outcome.CLIENT_GONE


def test_a_watcher_sees_which_rule_holds_how_much() -> None:
    holds: list[tuple[str, str, int]] = []
    with (
        Origin() as origin,
        relaying("gae-standard", ("127.0.0.1", origin.port), on_change=lambda each: holds.extend(each.holds())) as (
            _,
            port,
        ),
    ):
        Stage(origin, port).play(Schedule("watched", evenly(3, 100)))
    why = "App Engine standard collects the whole body and sends it as one response"
    assert [hold for hold in holds if hold[1] == why][:2] == [("gae-standard", why, 100), ("gae-standard", why, 200)]


def test_nothing_is_left_when_it_ends() -> None:
    before = threading.active_count()
    with relaying("passthrough", ("127.0.0.1", 9)) as (host, port):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, port), 1)


@pytest.mark.servers
def test_records_over_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("origin.test", "127.0.0.1").configure_cert(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    via = "nginx:proxy_http_version=1.1,tls=on"
    with Origin() as origin, relaying(via, ("127.0.0.1", origin.port), tls=context) as (_, port):
        play = origin.expect(Schedule("records", evenly(5, 100)))
        request = Request("GET", play.target, "1.1", (("Host", "origin.test"),))
        real = read(port, request, client).trace
    assert len({chunk.at for chunk in real.chunks}) == 1
    assert real.stats.bytes == 500


def test_the_relay_names_its_hops() -> None:
    assert resolve("nginx+heroku").text == "nginx+heroku"
