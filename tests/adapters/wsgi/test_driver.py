"""A response through policy, recorder and hops at once (WSGI): one thread, one close, one trace, no byte lost."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from streamproof import FlushPolicy, Outcome, Trace
from streamproof.adapters.wsgi import pump
from streamproof.wsgi import StreamMiddleware
from tests.support.buffering import buffering_wsgi
from tests.support.wsgi_server import Body, Server, answering

LIMIT = 5.0  # seconds that no step takes
NEVER = 3600.0  # a clock that never comes due
EVENTS = [("Content-Type", "text/event-stream")]
POLICIES = {
    "untimed": FlushPolicy(),
    "progress": FlushPolicy.for_progress(),
    "timed": FlushPolicy.for_sse(heartbeat=NEVER),
    "paced": FlushPolicy(max_delay=NEVER, min_size=20),
}


def pumps() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("streamproof-pump")]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    for thread in pumps():
        thread.join(LIMIT)
        assert not thread.is_alive()


class OwnIterator:
    """An iterable that is its own iterator, as every response of Werkzeug's and Flask's."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return b"data: a\n\n"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("recorded", [False, True], ids=["bare", "recorded"])
@pytest.mark.parametrize("via", [None, "passthrough", "heroku"])
@pytest.mark.parametrize("policy", [None, *POLICIES.values()], ids=["none", *POLICIES])
def test_close_runs_once_when_the_reader_leaves(policy: FlushPolicy | None, via: str | None, recorded: bool) -> None:
    body, traces = OwnIterator(), list[Trace]()
    app = StreamMiddleware(
        answering(body, headers=EVENTS), policy=policy, via=via, on_trace=traces.append if recorded else ()
    )
    server = Server(app)
    blocks = iter(server.body)
    next(blocks)
    del blocks
    server.close()
    if server.body is not body:  # with nothing to do the server has the app's own object
        server.close()
    assert body.closed == 1
    assert [trace.outcome for trace in traces] == [Outcome.CLIENT_GONE] * recorded


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_werkzeugs_callbacks_run_once_when_the_reader_leaves(policy: FlushPolicy) -> None:
    ran: list[bool] = []

    def endless() -> Iterator[bytes]:
        while True:
            yield b"data: a\n\n"

    def app(environ: Any, start_response: Any) -> Any:
        response = Response(endless(), mimetype="text/event-stream")
        response.call_on_close(lambda: ran.append(True))
        return response(environ, start_response)

    server = Server(StreamMiddleware(app, policy=policy))
    next(iter(server.body))
    server.close()
    assert ran == [True]


def test_a_policy_and_hops_share_one_thread() -> None:
    seen: list[int] = []

    def blocks() -> Iterator[bytes]:
        seen.append(len(pumps()))
        yield b"data: a\n\n"

    app = StreamMiddleware(
        answering(blocks(), headers=EVENTS), policy=FlushPolicy.for_sse(), via="heroku", on_trace=lambda trace: None
    )
    assert Server(app).finish() == b"data: a\n\n"
    assert seen == [1]


@pytest.mark.parametrize("buffered", [False, True], ids=["as_is", "buffered"])
@pytest.mark.parametrize("name", ["untimed", "timed"])
def test_a_policy_and_hops_hand_on_each_chunk_before_the_next(name: str, buffered: bool) -> None:
    received: list[bytes] = []
    in_time: list[bool] = []

    def blocks() -> Iterator[bytes]:
        for number in range(3):
            in_time.append(len(received) == number)
            yield b"data: %d\n\n" % number

    app: Any = StreamMiddleware(answering(blocks(), headers=EVENTS), policy=POLICIES[name], via="passthrough")
    server = Server(buffering_wsgi(app) if buffered else app)
    for block in server.body:
        if block:
            received.append(block)
    server.close()
    assert b"".join(received) == b"".join(b"data: %d\n\n" % number for number in range(3))
    assert all(in_time) is not buffered


def test_without_a_thread_to_be_had_the_stream_goes_without_a_clock(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pump, "MOST_THREADS", 0)
    before = pump.refused["pump"]
    app = StreamMiddleware(answering(Body(b"a", b"b"), headers=EVENTS), policy=POLICIES["paced"])
    server = Server(app)
    assert list(server.body) == [b"a", b"b"], "a chunk that waits for others would need a clock"
    server.close()
    assert pumps() == []
    assert pump.refused["pump"] == before + 1
    assert "pump threads are taken" in caplog.text


def test_a_trace_has_what_left_the_policy_and_not_the_hops() -> None:
    traces: list[Trace] = []
    app = StreamMiddleware(
        answering(Body(b"data: a\n\n", b"data: b\n\n"), headers=EVENTS),
        policy=FlushPolicy(max_size=5),
        via="gae-standard",
        on_trace=traces.append,
        keep_chunks=True,
    )
    assert Server(app).finish() == b"data: a\n\ndata: b\n\n"
    (trace,) = traces
    assert [chunk.data for chunk in trace.chunks] == [b"data:", b" a\n\n", b"data:", b" b\n\n"]
    assert trace.response is not None
    assert ("X-Accel-Buffering", "no") in trace.response.headers
    assert trace.outcome is Outcome.COMPLETE


def test_a_failure_stays_the_apps_when_the_reader_leaves_with_the_event_that_reports_it() -> None:
    traces: list[Trace] = []
    app = StreamMiddleware(
        answering(Body(ValueError("asked for")), headers=EVENTS),
        policy=FlushPolicy(on_error="event"),
        on_trace=traces.append,
    )
    server = Server(app)
    assert next(iter(server.body)).startswith(b"event: error\n")
    server.close()
    assert (traces[0].outcome, traces[0].end.reason) == (Outcome.APP_ERROR, "ValueError")


@pytest.mark.parametrize("via", [None, "passthrough"])
def test_a_failure_that_the_stream_reports_ends_properly(via: str | None) -> None:
    traces: list[Trace] = []
    app = StreamMiddleware(
        answering(Body(b"data: a\n\n", ValueError("secret")), headers=EVENTS),
        policy=FlushPolicy(on_error="event"),
        via=via,
        on_trace=traces.append,
    )
    left = Server(app).finish()
    assert left.startswith(b"data: a\n\nevent: error\n")
    assert b"secret" not in left
    assert (traces[0].outcome, traces[0].end.reason) == (Outcome.APP_ERROR, "ValueError")


def test_an_app_that_fails_before_its_head_does_not_wait_for_the_hops_limits() -> None:
    """A hop has a deadline from the request on; the server answers 500 by itself at once."""

    def app(environ: Any, start_response: Any) -> Any:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        Server(StreamMiddleware(app, via="heroku"))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"a", b"data: a\n\n", b"b" * 50, b"\n\n"]), max_size=8),
    st.sampled_from(list(POLICIES)),
    st.sampled_from([None, "passthrough", "nginx:proxy_http_version=1.1"]),
    st.integers(0, 10),
    st.sampled_from([None, ValueError("asked for")]),
    st.booleans(),
)
def test_whatever_is_cut_short_the_reader_has_a_prefix_and_close_runs_once(
    blocks: list[bytes], policy: str, via: str | None, pulls: int, error: Exception | None, compress: bool
) -> None:
    whole = b"".join(blocks)
    body, traces = Body(*blocks, *([] if error is None else [error])), list[Trace]()
    coding = ("gzip",) if compress else ()
    chosen = FlushPolicy(**{**vars_of(POLICIES[policy]), "compress": coding})
    app = StreamMiddleware(answering(body, headers=EVENTS), policy=chosen, via=via, on_trace=traces.append)
    received, raised, ended = b"", False, False
    server: Server | None = None
    try:
        server = Server(app, HTTP_ACCEPT_ENCODING="gzip", SERVER_PROTOCOL="HTTP/1.1")
        served = iter(server.body)
        for _ in range(pulls):
            block = next(served, None)
            if block is None:
                ended = True
                break
            received += block
    except ValueError:
        raised = True
    if server is not None:
        server.close()
    if compress and received:
        received = zlib.decompressobj(31).decompress(received)
    reported = b"event: error" in received
    assert whole.startswith(received.partition(b"event: error")[0])
    assert body.closed == 1
    (trace,) = traces
    if ended and not reported:
        assert received == whole
        assert trace.outcome is Outcome.COMPLETE
    if raised or reported:
        assert trace.outcome is Outcome.APP_ERROR


def vars_of(policy: FlushPolicy) -> dict[str, Any]:
    from dataclasses import fields

    return {entry.name: getattr(policy, entry.name) for entry in fields(policy)}
