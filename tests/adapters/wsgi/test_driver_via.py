"""Hops in the process (WSGI): held, released, cut and answered as the machine says, closed once, no thread left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from streamproof import Outcome, Trace
from streamproof.adapters.via import HopCut
from streamproof.wsgi import StreamMiddleware
from tests.support.buffering import buffering_wsgi
from tests.support.hop_doubles import Answering, BodyHeld, Cutting, Releasing, Straight, TimedStraight, Ways, Whole
from tests.support.wsgi_server import Body, Server, answering

LIMIT = 5.0  # seconds that no step takes
SOON = 0.05


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("streamproof-pump"):
            thread.join(LIMIT)
            assert not thread.is_alive()


def through(machine: Any, app: Any, traces: list[Trace] | None = None, **environ: Any) -> Server:
    listeners = () if traces is None else traces.append
    return Server(StreamMiddleware(app, via=Ways(machine), on_trace=listeners), **environ)  # type: ignore[arg-type]


BOTH = pytest.mark.parametrize("stage", [Straight, TimedStraight], ids=["inline", "pumped"])


@BOTH
@pytest.mark.parametrize("join", [False, True], ids=["as_is", "joined"])
def test_what_is_not_held_goes_on_at_once(stage: Any, join: bool) -> None:
    received: list[bytes] = []
    in_time: list[bool] = []

    def blocks() -> Iterator[bytes]:
        for number in range(3):
            # the first block is pulled within the call, before anybody can read
            in_time.append(len(received) == number)
            yield b"%d" % number

    app: Any = StreamMiddleware(answering(blocks()), via=Ways(lambda now: stage()))  # type: ignore[arg-type]
    server = Server(buffering_wsgi(app) if join else app)
    for block in server.body:
        received.append(block)
    server.close()
    assert b"".join(received) == b"012"
    assert all(in_time) is not join


@BOTH
def test_a_whole_response_with_its_trace(stage: Any) -> None:
    traces: list[Trace] = []
    body = Body(b"a", b"", b"bb")
    server = through(lambda now: stage(), answering(body), traces)
    assert server.finish() == b"abb"
    server.close()
    assert [args[0] for args in server.starts] == ["200 OK"]
    assert body.closed == 1
    assert [(trace.outcome, trace.stats.bytes) for trace in traces] == [(Outcome.COMPLETE, 3)]


def test_a_hop_that_holds_the_body_is_heard_as_not_yet() -> None:
    server = through(lambda now: BodyHeld(), answering(Body(b"a", b"b")))
    assert list(server.body) == [b"", b"a", b"b"]  # the first block was pulled within the call
    server.close()


def test_a_held_head_is_waited_for_within_the_call() -> None:
    server = through(lambda now: Whole(), answering(Body(b"a", b"b"), "202 Held"))
    assert [args[0] for args in server.starts] == ["202 Held"]
    assert server.finish() == b"ab"


def test_a_timed_release_comes_while_the_app_is_silent() -> None:
    released = threading.Event()

    def blocks() -> Iterator[bytes]:
        yield b"a"
        assert released.wait(LIMIT)
        yield b"b"

    server = through(lambda now: Releasing(SOON), answering(blocks()))
    received = b""
    for block in server.body:
        received += block
        if block:
            released.set()
    server.close()
    assert received == b"ab"


def test_a_hop_answers_in_the_apps_place() -> None:
    traces: list[Trace] = []
    closed = threading.Event()
    go = threading.Event()

    class Silent(Body):
        def __iter__(self) -> Iterator[bytes]:
            go.wait(LIMIT)
            yield b"late"

        def close(self) -> None:
            closed.set()

    server = through(lambda now: Answering(now, SOON), answering(Silent()), traces)
    assert server.starts == [("504 Gateway Timeout", [("Content-Type", "text/plain")])]
    assert server.finish() == b"too late"
    go.set()
    assert closed.wait(LIMIT)
    wait_for(traces)
    assert (traces[0].outcome, traces[0].end.by) == (Outcome.CUT, "test-hop")


def wait_for(traces: list[Trace]) -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("streamproof-pump"):
            thread.join(LIMIT)
    assert traces


def test_a_cut_reaches_the_server_as_an_exception() -> None:
    traces: list[Trace] = []
    go = threading.Event()

    def blocks() -> Iterator[bytes]:
        yield b"a"
        go.wait(LIMIT)

    server = through(lambda now: Cutting(now, SOON), answering(blocks()), traces)
    received: list[bytes] = []
    with pytest.raises(HopCut, match="test-hop cut the response"):
        received.extend(block for block in server.body)
    server.close()
    go.set()
    wait_for(traces)
    assert (traces[0].outcome, traces[0].end.by, traces[0].end.reason) == (Outcome.CUT, "test-hop", "idle")


@BOTH
@pytest.mark.parametrize("after", [0, 1], ids=["at_once", "in_the_stream"])
def test_the_apps_exception_is_raised_on(stage: Any, after: int) -> None:
    traces: list[Trace] = []
    body = Body(*[b"a"] * after, ValueError("asked for"))
    received: list[bytes] = []
    with pytest.raises(ValueError, match="asked for"):
        server = through(lambda now: stage(), answering(body), traces)
        try:
            for block in server.body:
                received.append(block)
        finally:
            server.close()
    assert received == [b"a"] * after
    assert body.closed == 1
    assert [trace.outcome for trace in traces] == [Outcome.APP_ERROR]


def test_what_a_hop_held_is_released_before_the_apps_exception() -> None:
    server = through(lambda now: BodyHeld(), answering(Body(b"a", b"b", ValueError("asked for"))))
    received: list[bytes] = []
    with pytest.raises(ValueError, match="asked for"):
        for block in server.body:
            received.append(block)
    server.close()
    assert b"".join(received) == b"ab"


@BOTH
def test_a_reader_who_leaves_closes_the_app_once(stage: Any) -> None:
    traces: list[Trace] = []
    body = Body(b"a", b"b", b"c")
    server = through(lambda now: stage(), answering(body), traces)
    next(iter(server.body))
    server.close()
    server.close()
    assert body.closed == 1
    assert [trace.outcome for trace in traces] == [Outcome.CLIENT_GONE]


def test_a_reader_who_leaves_in_a_silence_leaves_the_app_to_its_thread() -> None:
    traces: list[Trace] = []
    go = threading.Event()

    def blocks() -> Iterator[bytes]:
        yield b"a"
        go.wait(LIMIT)
        yield b"b"

    server = through(lambda now: Cutting(now, SOON), answering(blocks()), traces)
    assert next(iter(server.body)) == b"a"
    with pytest.raises(HopCut):
        next(iter(server.body))
    server.close()
    assert [trace.outcome for trace in traces] == [Outcome.CUT], "the trace does not wait for a stuck app"
    go.set()


@BOTH
def test_a_close_that_raises_is_raised_on(stage: Any) -> None:
    traces: list[Trace] = []
    body = Body(b"a", fault_in_close=RuntimeError("in close"))
    server = through(lambda now: stage(), answering(body), traces)
    with pytest.raises(RuntimeError, match="in close"):
        server.finish()
    assert body.closed == 1
    assert traces[0].outcome is Outcome.APP_ERROR


@BOTH
def test_write_goes_through_the_hops(stage: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return [b"c"]

    server = through(lambda now: stage(), app)
    rest = server.finish()
    assert b"".join(server.written) + rest == b"abc"


@BOTH
def test_an_app_may_change_its_mind_before_the_first_byte(stage: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("500 No", [("Connection", "close"), ("X-A", "b")], (ValueError, ValueError(), None))
        return [b"c"]

    server = through(lambda now: stage(), app)
    assert server.starts == [("500 No", [("X-A", "b")])]
    assert server.finish() == b"c"


@BOTH
def test_a_block_without_a_head_is_the_apps_fault(stage: Any) -> None:
    with pytest.raises(AssertionError, match="before it called start_response"):
        through(lambda now: stage(), lambda environ, start_response: [b"x"])
    with pytest.raises(AssertionError, match="a second time"):
        through(
            lambda now: stage(),
            lambda environ, start: (start("200 OK", []), start("200 OK", [])),
        )


@BOTH
@pytest.mark.parametrize("body", [Body(), Body(b"a"), [b"a", b"b"]], ids=["empty", "one", "list"])
def test_the_validator_is_content(stage: Any, body: Any) -> None:
    app = validator(StreamMiddleware(validator(answering(body)), via=Ways(lambda now: stage())))  # type: ignore[arg-type]
    assert Server(app, QUERY_STRING="", SCRIPT_NAME="").finish() in (b"", b"a", b"ab")


def test_a_head_request_has_no_body_in_the_hops() -> None:
    server = through(lambda now: BodyHeld(), answering(Body(b"a")), REQUEST_METHOD="HEAD")
    assert server.finish() == b""
    assert len(server.starts) == 1


def test_one_warning_names_the_hops(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "streamproof"):
        middleware = StreamMiddleware(answering([b"a"]), via="nginx:gzip=on")
        assert [Server(middleware).finish() for _ in range(2)] == [b"a", b"a"]
    assert len(caplog.records) == 1
    assert "nginx:gzip=on" in caplog.text


def test_a_real_profile_compresses_for_real() -> None:
    import gzip

    body = [b"x" * 2000]
    app = answering(body, headers=[("Content-Type", "text/html")])
    server = Server(StreamMiddleware(app, via="nginx:gzip=on"), HTTP_ACCEPT_ENCODING="gzip", SERVER_PROTOCOL="HTTP/1.1")
    assert gzip.decompress(server.finish()) == body[0]
    assert ("Content-Encoding", "gzip") in server.starts[0][1]
