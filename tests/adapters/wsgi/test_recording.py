"""The WSGI middleware records what happened and changes nothing."""

from __future__ import annotations

import gc
import logging
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.test import Client
from werkzeug.wsgi import ClosingIterator

from streamproof import ConfigurationError, Outcome, Trace
from streamproof.adapters.wsgi import environ
from streamproof.sansio import untrusted
from streamproof.testing import Held, assert_streams, buffered, client, tap, trace_of
from streamproof.wsgi import StreamMiddleware
from tests.support.testing_apps import WSGIStream
from tests.support.wsgi_server import Body, Server, answering


def record(app: Any, **environ: Any) -> tuple[Server, list[Trace]]:
    traces: list[Trace] = []
    return Server(StreamMiddleware(app, on_trace=traces.append), **environ), traces


def test_without_an_exporter_the_app_is_called_as_it_is() -> None:
    body = Body(b"a")
    assert Server(StreamMiddleware(answering(body))).body is body


def test_a_stream_becomes_a_trace() -> None:
    body = Body(b"one", b"", b"three")
    server, traces = record(answering(body), QUERY_STRING="a=1", HTTP_ACCEPT="*/*", SERVER_SOFTWARE="gunicorn/27")
    assert server.finish() == b"onethree"
    (trace,) = traces
    assert trace.outcome is Outcome.COMPLETE
    assert (trace.stats.chunks, trace.stats.bytes, trace.stats.empty_chunks) == (2, 8, 1)
    assert (trace.request.method, trace.request.target) == ("GET", "/there?a=1")
    assert ("Accept", "*/*") in trace.request.headers
    assert trace.response is not None
    assert trace.response.status == 200
    assert trace.server == "gunicorn"
    assert body.closed == 1
    assert Trace.from_dict(trace.to_dict()).to_dict() == trace.to_dict()


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_each_block_reaches_the_reader_before_the_app_makes_the_next(control: bool) -> None:
    recorded = StreamMiddleware(tap(WSGIStream(3, seconds=0.0)), on_trace=lambda trace: None)
    with client(buffered(recorded) if control else recorded) as http, http.stream("GET", "/") as response:
        with pytest.raises(Held, match="before the reader held chunk 1") if control else nullcontext():
            assert_streams(response)
        assert trace_of(response).stats.bytes == 24


@pytest.mark.parametrize(("keep", "kept"), [(True, [b"a", b"bb"]), (1, [b"a"]), (False, [])])
def test_chunks_are_kept_when_asked_for(keep: bool | int, kept: list[bytes]) -> None:
    traces: list[Trace] = []
    Server(StreamMiddleware(answering(Body(b"a", b"bb")), on_trace=traces.append, keep_chunks=keep)).finish()
    assert [chunk.data for chunk in traces[0].chunks] == kept
    assert traces[0].stats.chunks == 2


def test_cookies_and_credentials_are_not_recorded_but_their_size_is() -> None:
    fields = [("Set-Cookie", "session=0123456789")]
    server, traces = record(answering([b"a"], headers=fields), HTTP_COOKIE="secret", HTTP_AUTHORIZATION="Basic x")
    server.finish()
    assert server.starts == [("200 OK", fields)]
    assert traces[0].response is not None
    assert traces[0].response.headers == (("Set-Cookie", "[redacted]********"),)
    assert traces[0].response.wire_size == len("HTTP/1.1 200 OK\r\nSet-Cookie: session=0123456789\r\n\r\n")
    assert {value for name, value in traces[0].request.headers if name in ("Cookie", "Authorization")} == {"[redacted]"}


def test_field_names_that_strangers_choose_fill_no_memory_and_hide_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "_HARMLESS", set())
    monkeypatch.setattr(environ, "_FIELDS", {})
    for number in range(2 * untrusted._MOST_NAMES):
        server, traces = record(answering([b"a"]), **{f"HTTP_X_{number}": "a", "HTTP_COOKIE": "secret"})
        server.finish()
        asked = dict(traces[0].request.headers)
        assert (asked[f"X-{number}"], asked["Cookie"]) == ("a", "[redacted]")
    assert len(untrusted._HARMLESS) == untrusted._MOST_NAMES
    assert len(environ._FIELDS) == environ._MOST_FIELDS


def test_a_reader_who_leaves_before_the_first_block() -> None:
    body = Body(b"a")
    server, traces = record(answering(body))
    server.close()
    server.close()
    assert [trace.outcome for trace in traces] == [Outcome.CLIENT_GONE]
    assert body.closed == 1


def test_a_reader_who_leaves_in_a_chunk_did_not_accept_it() -> None:
    traces: list[Trace] = []
    body = Body(b"a", b"b", b"c")
    server = Server(StreamMiddleware(answering(body), on_trace=traces.append, keep_chunks=True))
    blocks = iter(server.body)
    next(blocks), next(blocks)
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        server.close()
    (trace,) = traces
    assert trace.outcome is Outcome.CLIENT_GONE
    assert [chunk.accepted_at is None for chunk in trace.chunks] == [False, True]
    assert body.closed == 1


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (ValueError("x"), "app_error"),
        (SystemExit(1), "cut"),
        (SystemExit(0), "shutdown"),
        (KeyboardInterrupt(), "shutdown"),
    ],
)
@pytest.mark.parametrize("inside", ["next", "the app", "the server"])
def test_what_ends_a_stream_decides_its_outcome(raised: BaseException, outcome: str, inside: str) -> None:
    traces: list[Trace] = []
    if inside == "the app":

        def app(environ: Any, start_response: Any) -> Any:
            raise raised

        with pytest.raises(type(raised)):
            record_into(app, traces)
    else:
        body = Body(b"a", raised) if inside == "next" else Body(b"a", b"b")
        server = record_into(answering(body), traces)
        with pytest.raises(type(raised)):
            serve(server, raised)
        assert body.closed == 1
    assert [trace.outcome for trace in traces] == [outcome]


def record_into(app: Any, traces: list[Trace]) -> Server:
    return Server(StreamMiddleware(app, on_trace=traces.append))


def serve(server: Server, raised: BaseException) -> None:
    try:
        for number, _ in enumerate(server.body):
            if number:
                raise raised
    finally:
        server.close()


def test_a_close_that_raises_is_recorded_and_raised_on() -> None:
    body = Body(b"a", fault_in_close=RuntimeError("in close"))
    server, traces = record(answering(body))
    with pytest.raises(RuntimeError, match="in close"):
        server.finish()
    server.close()
    assert traces[0].outcome is Outcome.APP_ERROR
    assert traces[0].end.reason == "close() raised RuntimeError"
    assert body.closed == 1


def test_a_body_that_is_collected_without_close_is_abandoned_or_complete() -> None:
    traces: list[Trace] = []
    server = record_into(answering(Body(b"a", b"b")), traces)
    next(iter(server.body))
    del server
    gc.collect()
    for _ in record_into(answering(Body(b"a")), traces).body:
        pass
    gc.collect()
    assert [trace.outcome for trace in traces] == [Outcome.ABANDONED, Outcome.COMPLETE]


def test_a_loop_may_hold_the_iterator_alone() -> None:
    traces: list[Trace] = []
    middleware = StreamMiddleware(answering(Body(b"a", b"b")), on_trace=traces.append)
    for _ in middleware({}, lambda *args: None):  # type: ignore[arg-type]
        gc.collect()
        assert not traces
    assert [trace.outcome for trace in traces] == [Outcome.COMPLETE]


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No"), ("GET", "304 No")])
def test_a_response_without_a_body_is_complete_when_closed_unread(method: str, status: str) -> None:
    server, traces = record(answering(Body(b"a"), status), REQUEST_METHOD=method)
    server.close()
    assert traces[0].outcome is Outcome.COMPLETE


def test_a_server_that_stops_at_content_length_has_it_all() -> None:
    server, traces = record(answering(Body(b"ab", b"c"), headers=[("Content-Length", "2")]))
    next(iter(server.body))
    server.close()
    assert traces[0].outcome is Outcome.COMPLETE


@pytest.mark.parametrize("body", [[b"a", b"bb"], (b"a", b"bb"), [], ()])
def test_lists_and_tuples_stay_what_they_are(body: Any) -> None:
    server, traces = record(answering(body))
    assert isinstance(server.body, type(body))
    assert server.body == body
    server.finish()
    server.close()
    assert [trace.stats.bytes for trace in traces] == [sum(map(len, body))]
    assert traces[0].outcome is Outcome.COMPLETE


def test_a_list_that_is_never_closed_is_recorded_when_collected() -> None:
    server, traces = record(answering([b"a"]))
    del server
    gc.collect()
    assert [trace.outcome for trace in traces] == [Outcome.COMPLETE]


def test_a_sized_body_keeps_its_length_and_can_be_iterated_again() -> None:
    class Sized(Body):
        def __len__(self) -> int:
            return 2

    body = Sized(b"a", b"bb")
    server, traces = record(answering(body))
    assert len(server.body) == 2
    assert list(server.body) == list(server.body) == [b"a", b"bb"]
    server.close()
    server.close()
    assert (traces[0].stats.bytes, traces[0].outcome, body.closed) == (3, Outcome.COMPLETE, 1)


def test_the_servers_file_wrapper_is_returned_itself(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    environs: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        environs.append(environ)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    server, traces = record(app, **{"wsgi.file_wrapper": FileWrapper})
    assert environs[0] is server.environ
    assert type(server.body) is FileWrapper
    server.close()
    server.close()
    assert server.body.filelike.closed
    assert (traces[0].stats.bytes, traces[0].outcome) == (100, Outcome.COMPLETE)


def test_what_cannot_be_iterated_is_returned_itself() -> None:
    handled = object()
    server, traces = record(answering(handled))
    assert server.body is handled
    assert traces[0].outcome is Outcome.COMPLETE


def test_write_is_recorded() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"written")
        return [b"rest"]

    server, traces = record(app)
    server.finish()
    assert server.written == [b"written"]
    assert (traces[0].stats.chunks, traces[0].stats.bytes) == (2, 11)


def test_a_write_that_fails_means_that_the_reader_left() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"written")

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        def write(data: bytes) -> None:
            raise ConnectionResetError

        return write

    traces: list[Trace] = []
    with pytest.raises(ConnectionResetError):
        StreamMiddleware(app, on_trace=traces.append)({}, start_response)
    assert traces[0].outcome is Outcome.CLIENT_GONE


def test_exc_info_is_passed_only_when_given_and_the_last_head_counts() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            start_response("500 No", [], sys.exc_info())
        return iter([b"x"])

    server, traces = record(app)
    server.finish()
    assert [len(args) for args in server.starts] == [2, 3]
    assert traces[0].response is not None
    assert traces[0].response.status == 500


def test_a_start_response_in_the_stream_is_seen() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("202 Late", [])
        yield b"x"

    server, traces = record(app)
    assert server.starts == []
    server.finish()
    assert traces[0].response is not None
    assert traces[0].response.status == 202


def test_a_listener_that_raises_is_logged_once_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    traces: list[Trace] = []

    def broken(trace: Trace) -> None:
        raise RuntimeError("exporter down")

    middleware = StreamMiddleware(answering(Body(b"a")), on_trace=[broken, traces.append])
    with caplog.at_level(logging.ERROR, "streamproof"):
        assert [Server(middleware).finish() for _ in range(3)] == [b"a"] * 3
    assert len(traces) == 3
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]


def test_a_listener_must_be_callable() -> None:
    with pytest.raises(ConfigurationError, match="Expected a callable"):
        StreamMiddleware(answering([]), on_trace=["prometheus"])  # type: ignore[list-item]


@pytest.mark.parametrize("body", [[b"a"], Body(b"a", b"b"), Body()], ids=["list", "stream", "empty"])
def test_the_validators_are_content_inside_and_outside(body: Any) -> None:
    app = answering(body, headers=[("Content-Type", "text/plain")])
    traces: list[Trace] = []
    checked = validator(StreamMiddleware(validator(app), on_trace=traces.append))
    linted = LintMiddleware(StreamMiddleware(LintMiddleware(app), on_trace=traces.append))
    for outer in (checked, linted):
        with Client(outer).get("/") as response:
            assert response.status_code == 200
            assert response.get_data() in (b"a", b"ab", b"")
    gc.collect()
    assert [trace.outcome for trace in traces] == [Outcome.COMPLETE] * 2


def test_the_body_is_a_closing_iterator() -> None:
    server, _ = record(answering(Body(b"a", b"b")))
    assert isinstance(server.body, ClosingIterator)
    assert (next(server.body), list(server.body)) == (b"a", [b"b"])
    server.close()


@given(st.lists(st.binary(max_size=9)), st.integers(0, 12), st.booleans())
def test_bytes_and_outcome_fit_whatever_was_taken(blocks: list[bytes], taken: int, keep: bool) -> None:
    traces: list[Trace] = []
    body = Body(*blocks)
    server = Server(StreamMiddleware(answering(body), on_trace=traces.append, keep_chunks=keep))
    received = [block for block, _ in zip(server.body, range(taken), strict=False)]
    server.close()
    (trace,) = traces
    assert received == blocks[:taken]
    assert body.closed == 1
    # zip has asked for one block more than it hands over
    assert trace.stats.bytes == sum(map(len, blocks[: taken + 1]))
    assert trace.outcome is (Outcome.COMPLETE if taken >= len(blocks) else Outcome.CLIENT_GONE)


def test_an_endless_stream_needs_no_more_memory_than_a_short_one() -> None:
    middleware = StreamMiddleware(answering(b"x" * 10 for _ in range(10**9)), on_trace=lambda trace: None)
    server = Server(middleware)
    blocks = iter(server.body)

    def take(count: int) -> int:
        for _, _ in zip(range(count), blocks, strict=False):
            pass
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_some, after_many = take(10_000), take(200_000)
    finally:
        tracemalloc.stop()
    server.close()
    assert abs(after_many - after_some) < 512


def test_a_live_stream_is_cheap_to_watch() -> None:
    def held(middleware: Any) -> float:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_ACCEPT": "*/*"}
        streams = []
        tracemalloc.start()
        try:
            for _ in range(100):
                body = middleware(environ, lambda *args: None)
                blocks = iter(body)
                for _ in range(50):
                    next(blocks)
                streams.append((body, blocks))
            return tracemalloc.get_traced_memory()[0] / 100
        finally:
            tracemalloc.stop()
            for body, _ in streams:
                body.close()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * 10 for _ in range(1000))

    assert held(StreamMiddleware(app, on_trace=lambda trace: None)) - held(app) < 2048
