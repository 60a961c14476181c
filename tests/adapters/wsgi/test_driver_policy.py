"""A policy round WSGI apps in this process: which responses it touches, and what leaves when."""

from __future__ import annotations

import contextvars
import gzip
import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof import ConfigurationError, Trace
from streamproof.adapters.holds import HeldInside, holds
from streamproof.adapters.taps import tap
from streamproof.adapters.wsgi.pump import stuck
from streamproof.sansio.flush import FlushPolicy
from streamproof.wsgi import StreamMiddleware
from tests.support.buffering import buffering_wsgi
from tests.support.live_support import need

EVENTS = [("Content-Type", "text/event-stream")]
ACCEPTING = {"HTTP_ACCEPT_ENCODING": "gzip"}
#: Far beyond what a test takes: a policy with it has a clock that never comes due.
NEVER = 3600.0


class Call:
    """One request, and what came of it."""

    def __init__(self, app: Any, policy: FlushPolicy | None, path: str = "/", **environ: Any) -> None:
        self.environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.file_wrapper": FileWrapper, **environ}
        setup_testing_defaults(self.environ)
        self.status, self.headers = "", list[tuple[str, str]]()
        self.body = StreamMiddleware(app, policy=policy)(self.environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers
        return lambda data: None

    def read(self) -> list[bytes]:
        try:
            return list(self.body)
        finally:
            if hasattr(self.body, "close"):
                self.body.close()

    @property
    def fields(self) -> dict[str, str]:
        return dict(self.headers)


def answer(headers: Iterable[tuple[str, str]], body: Any, status: str = "200 OK") -> Any:
    """An app that answers this; ``body`` may be a function that makes it."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return body() if callable(body) else body

    return app


def some() -> Iterator[bytes]:
    yield b"data: a\n\n"
    yield b"data: b\n\n"


INLINE, PUMPED = FlushPolicy(), FlushPolicy(heartbeat=NEVER)
BOTH = pytest.mark.parametrize("policy", [INLINE, PUMPED], ids=["inline", "pumped"])


@BOTH
def test_a_stream_says_what_it_is(policy: FlushPolicy) -> None:
    call = Call(answer(EVENTS, some), policy)
    assert call.read() == [b"data: a\n\n", b"data: b\n\n"]
    assert call.headers == [
        *EVENTS,
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("Incremental", "?1"),
    ]


def test_twice_is_as_good_as_once() -> None:
    once = Call(answer(EVENTS, some), INLINE)
    twice = Call(StreamMiddleware(answer(EVENTS, some), policy=INLINE), INLINE)
    assert twice.headers == once.headers


def test_the_apps_own_choice_stands_and_each_word_can_be_left_out() -> None:
    own = [*EVENTS, ("Cache-Control", "private"), ("X-Accel-Buffering", "yes"), ("Incremental", "?0")]
    assert Call(answer(own, some), INLINE).headers == [
        *EVENTS,
        ("Cache-Control", "private, no-transform"),
        ("X-Accel-Buffering", "yes"),
        ("Incremental", "?0"),
    ]
    silent = FlushPolicy(accel_buffering=False, no_transform=False, incremental=False)
    assert Call(answer(EVENTS, some), silent).headers == EVENTS


class Sized:
    def __init__(self) -> None:
        self.closed = 0

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"x"])

    def close(self) -> None:
        self.closed += 1


TEXT = [("Content-Type", "text/html")]
OTHERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a list": (answer(TEXT, [b"x"]), {}),
    "a tuple": (answer(TEXT, (b"x",)), {}),
    "a length": (answer([*TEXT, ("Content-Length", "1")], [b"x"]), {}),
    "sized": (answer(TEXT, Sized), {}),
    "no content": (answer([], [], "204 No Content"), {}),
    "not modified": (answer([("ETag", '"a"')], [], "304 Not Modified"), {}),
    "a part": (answer([*TEXT, ("Content-Range", "bytes 0-0/9")], [b"x"], "206 Partial Content"), {}),
    "HEAD": (answer(EVENTS, [b"x"]), {"REQUEST_METHOD": "HEAD"}),
    "upgrade": (answer([], [], "101 Switching Protocols"), {"HTTP_UPGRADE": "websocket"}),
    "grpc": (answer([("Content-Type", "application/grpc+proto")], [b"x"]), {}),
    "a file": (lambda e, s: (s("200 OK", TEXT), e["wsgi.file_wrapper"](open("/dev/null", "rb")))[1], {}),  # noqa: SIM115
}


@BOTH
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_stream_passes_as_the_object_it_is(policy: FlushPolicy, name: str) -> None:
    app, environ = OTHERS[name]
    made: list[Any] = []

    def keeping(environ: Any, start_response: Any) -> Any:
        def starting(*head: Any) -> Any:
            heads.append(head)
            return start_response(*head)

        made.append(app(environ, starting))
        return made[-1]

    heads: list[Any] = []
    call = Call(keeping, policy, **environ)
    assert call.body is made[0]
    assert call.headers is heads[0][1], "not even a copy of the head"
    call.read()


@BOTH
def test_close_runs_once_where_the_object_itself_is_handed_on(policy: FlushPolicy) -> None:
    sized = Sized()
    assert Call(answer(TEXT, sized), policy).read() == [b"x"]
    assert sized.closed == 1


@BOTH
def test_the_app_and_the_rules_may_say_otherwise(policy: FlushPolicy) -> None:
    def streams(headers: Any, path: str = "/", **rules: Any) -> bool:
        from dataclasses import replace

        call = Call(answer(headers, some), replace(policy, **rules), path)
        call.read()
        assert "X-Streamproof-Flush" not in call.fields, "this word is for us"
        return "X-Accel-Buffering" in call.fields

    assert streams(TEXT)
    assert not streams([*TEXT, ("X-Streamproof-Flush", "off")])
    assert not streams(TEXT, detect_untyped=False)
    assert streams([*TEXT, ("X-Streamproof-Flush", "on")], detect_untyped=False)
    assert streams(TEXT, "/events/1", detect_untyped=False, always_stream=("/events/*",))
    assert not streams(EVENTS, "/events/1", never_stream=("/events/*",))
    assert not streams(EVENTS, never_stream=("text/*",))
    assert not streams(EVENTS, never_stream=(lambda request, status, headers: status == 200,))
    assert streams([*TEXT, ("Content-Length", "18")], always_stream=("text/html",))


def test_a_byte_never_waits_inline_however_it_is_split() -> None:
    produced: list[bytes] = []

    def watched() -> Iterator[bytes]:
        for block in (b"aaaa", b"", b"bb", b"cccc"):
            produced.append(block)
            yield block

    body = iter(Call(answer(EVENTS, watched), FlushPolicy(max_size=3)).body)
    seen = b""
    for piece in body:
        seen += piece
        assert seen == b"".join(produced)[: len(seen)]
        assert len(b"".join(produced)) - len(seen) < 3, "all of a block leaves before the next is asked for"
    assert seen == b"aaaabbcccc"


def test_a_pull_is_answered_with_an_empty_block_when_the_pace_keeps_it() -> None:
    policy = FlushPolicy(max_delay=NEVER)
    assert Call(answer(EVENTS, some), policy).read() == [b"data: a\n\n", b"", b"data: b\n\n"]


@BOTH
def test_compression_flushes_each_block(policy: FlushPolicy) -> None:
    from dataclasses import replace

    headers = [*TEXT, ("ETag", '"a"'), ("Accept-Ranges", "bytes"), ("Vary", "Cookie")]
    call = Call(answer(headers, some), replace(policy, compress=("gzip",)), **ACCEPTING)
    inflate = zlib.decompressobj(31)
    blocks = call.read()
    assert [inflate.decompress(block) for block in blocks[:2]] == [b"data: a\n\n", b"data: b\n\n"]
    assert call.fields["Content-Encoding"] == "gzip"
    assert call.fields["ETag"] == 'W/"a"'
    assert call.fields["Vary"] == "Cookie, Accept-Encoding"
    assert "Accept-Ranges" not in call.fields


@pytest.mark.parametrize(
    ("headers", "accept", "coding"),
    [
        (TEXT, "gzip", "gzip"),
        (TEXT, "gzip;q=0.5, br", "br"),
        (TEXT, "gzip;q=0, *", "zstd"),
        (TEXT, "*;q=0", None),
        (TEXT, "identity, gzip;q=0.5", None),
        (TEXT, "", None),
        ([*TEXT, ("Content-Encoding", "deflate")], "gzip", "deflate"),
        ([*TEXT, ("Cache-Control", "no-transform")], "gzip", None),
        ([("Content-Type", "image/png")], "gzip", None),
    ],
)
def test_the_coding_is_the_one_that_the_reader_likes_best(headers: Any, accept: str, coding: str | None) -> None:
    need("brotli", "zstandard")
    policy = FlushPolicy(compress=("zstd", "br", "gzip"))
    call = Call(answer(headers, some), policy, HTTP_ACCEPT_ENCODING=accept)
    call.read()
    assert call.fields.get("Content-Encoding") == coding


def test_a_length_does_not_survive_a_changed_body() -> None:
    policy = FlushPolicy(always_stream=("text/html",), compress=("gzip",))
    call = Call(answer([*TEXT, ("Content-Length", "18")], some), policy, **ACCEPTING)
    assert gzip.decompress(b"".join(call.read())) == b"data: a\n\ndata: b\n\n"
    assert "Content-Length" not in call.fields


def failing() -> Iterator[bytes]:
    yield b"data: a\n\n"
    raise ValueError("in the middle")


@BOTH
def test_an_error_is_raised_on_so_that_the_server_cuts(policy: FlushPolicy) -> None:
    call = Call(answer(EVENTS, failing), policy)
    with pytest.raises(ValueError, match="in the middle"):
        call.read()


@BOTH
def test_or_is_told_in_the_stream_and_logged(policy: FlushPolicy, caplog: pytest.LogCaptureFixture) -> None:
    from dataclasses import replace

    call = Call(answer(EVENTS, failing), replace(policy, on_error="event"))
    assert call.read()[-1].startswith(b"event: error\n")
    assert "broke off" in caplog.text
    assert "in the middle" in caplog.text


@BOTH
def test_a_trace_says_that_the_app_failed_though_the_body_is_complete(policy: FlushPolicy) -> None:
    from dataclasses import replace

    traces: list[Trace] = []
    app = StreamMiddleware(answer(EVENTS, failing), policy=replace(policy, on_error="event"), on_trace=traces.append)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body = app(environ, lambda *head: lambda data: None)
    list(body)
    body.close()  # type: ignore[attr-defined]
    assert (traces[0].end.outcome, traces[0].end.reason) == ("app_error", "ValueError")


@given(
    st.lists(st.sampled_from([b"", b"a", b"data: a\n\n", b"b" * 50, b"\n\n"]), max_size=12),
    st.sampled_from(
        [
            FlushPolicy(max_size=5),
            FlushPolicy(max_size=5, align_to_boundaries=True, compress=("gzip",)),
            FlushPolicy(max_delay=NEVER, min_size=20),
            FlushPolicy(heartbeat=NEVER, head_first=True),
        ]
    ),
)
def test_no_byte_is_lost_on_the_way_through_the_driver(blocks: list[bytes], policy: FlushPolicy) -> None:
    call = Call(answer(EVENTS, lambda: iter(blocks)), policy, **ACCEPTING)
    left = b"".join(call.read())
    assert (gzip.decompress(left) if policy.compress else left) == b"".join(blocks)


def test_a_stuck_app_is_counted_and_named_until_it_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    before, go_on, closed = stuck(), threading.Event(), threading.Event()

    def stubborn() -> Iterator[bytes]:
        try:
            yield b"data: a\n\n"
            assert go_on.wait(10)
            yield b"data: b\n\n"
        finally:
            closed.set()

    body = Call(answer(EVENTS, stubborn), FlushPolicy(heartbeat=0.01), "/export").body
    assert next(iter(body)) == b"data: a\n\n"
    assert next(iter(body)) == b":\n\n"
    body.close()  # type: ignore[attr-defined]
    assert stuck() == before + 1
    assert any(thread.name == "streamproof-pump GET /export" for thread in threading.enumerate())
    assert "GET /export was closed while its app is still at work" in caplog.text
    go_on.set()
    assert closed.wait(10)


def test_django_keeps_one_thread_from_view_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django")
    monkeypatch.setenv("DEMO_DELAY", "0")
    from django.core.signals import request_finished, request_started

    from demo_apps.django_stream import wsgi_app

    threads: list[tuple[str, int]] = []

    def started(**_: Any) -> None:
        threads.append(("started", threading.get_ident()))

    def finished(**_: Any) -> None:
        threads.append(("finished", threading.get_ident()))

    request_started.connect(started)
    request_finished.connect(finished)
    try:
        assert b"".join(Call(wsgi_app, PUMPED, "/stream").read()).startswith(b"Data chunk 0")
    finally:
        request_started.disconnect(started)
        request_finished.disconnect(finished)
    assert [name for name, _ in threads] == ["started", "finished"]
    assert len({ident for _, ident in threads}) == 1
    assert threading.get_ident() not in {ident for _, ident in threads}


@BOTH
def test_an_error_page_replaces_a_head_that_has_not_left(policy: FlushPolicy) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", EVENTS)
        try:
            raise KeyError
        except KeyError:
            import sys

            start_response("500 Oops", TEXT, sys.exc_info())
        return [b"sorry"]

    call = Call(app, policy)
    assert (call.status, call.headers, call.read()) == ("500 Oops", TEXT, [b"sorry"])


def test_the_head_leaves_first_only_when_asked() -> None:
    assert Call(answer(EVENTS, some), FlushPolicy(head_first=True)).read()[0] == b""
    assert Call(answer(EVENTS, some), FlushPolicy()).read()[0] == b"data: a\n\n"


@BOTH
def test_a_second_head_without_exc_info_is_refused_as_servers_do(policy: FlushPolicy) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", EVENTS)
        start_response("200 OK", EVENTS)
        return some()

    with pytest.raises(AssertionError, match="second time"):
        Call(app, policy)


@BOTH
def test_a_body_whose_head_the_server_refuses_is_closed(policy: FlushPolicy) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return some()

        def close(self) -> None:
            closed.append(True)

    def refuse(status: str, headers: Any, exc_info: Any = None) -> Any:
        raise AssertionError("a hop-by-hop header")

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    with pytest.raises(AssertionError, match="hop-by-hop"):
        StreamMiddleware(answer(EVENTS, Body), policy=policy)(environ, refuse)
    assert closed == [True]


@pytest.mark.parametrize("policy", [INLINE, None], ids=["policy", "none"])
def test_hops_in_the_process_hear_the_policy(policy: FlushPolicy | None) -> None:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    asked: list[bytes] = []

    def watched() -> Iterator[bytes]:
        for block in some():
            asked.append(block)
            yield block

    body = iter(
        StreamMiddleware(answer(EVENTS, watched), policy=policy, via="nginx")(environ, lambda *head: lambda data: None)
    )
    first = next(block for block in body if block)
    assert (first, len(asked)) == ((b"data: a\n\n", 1) if policy else (b"".join(some()), 2))
    list(body)


def test_a_generator_app_and_write_are_streams() -> None:
    def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", EVENTS)
        yield from some()

    def writer(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", EVENTS)
        write(b"data: a\n\n")
        return [b"data: b\n\n"]

    for policy in (INLINE, PUMPED):
        call = Call(generator, policy)
        assert call.read() == list(some())
        assert "X-Accel-Buffering" in call.fields
    call = Call(writer, PUMPED)
    assert call.read() == list(some())
    assert "X-Accel-Buffering" in call.fields


def test_the_pump_has_one_thread_and_the_context_of_the_request() -> None:
    asked = contextvars.ContextVar[str]("asked")
    threads = set()
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(3):
                threads.add(threading.get_ident())
                yield asked.get().encode()

        def close(self) -> None:
            threads.add(threading.get_ident())
            closed.append(asked.get())

    def app(environ: Any, start_response: Any) -> Any:
        threads.add(threading.get_ident())
        start_response("200 OK", EVENTS)
        return Body()

    asked.set("here")
    assert Call(app, PUMPED).read() == [b"here"] * 3
    assert closed == ["here"]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_heartbeats_while_the_app_says_nothing() -> None:
    """The app waits for three heartbeats to have been read: without them it would wait for ever."""
    read = threading.Semaphore(0)

    def silent() -> Iterator[bytes]:
        yield b"data: a\n\n"
        for _ in range(3):
            assert read.acquire(timeout=10)
        yield b"data: b\n\n"

    seen = []
    body = Call(answer(EVENTS, silent), FlushPolicy(heartbeat=0.01)).body
    for piece in body:
        seen.append(piece)
        if piece == b":\n\n":
            read.release()
    body.close()  # type: ignore[attr-defined]
    assert [piece for piece in seen if piece != b":\n\n"] == [b"data: a\n\n", b"data: b\n\n"]
    assert seen.count(b":\n\n") >= 3


def test_empty_blocks_do_not_end_a_silence() -> None:
    """The app gives empty blocks faster than heartbeats are due, until a heartbeat has been read."""
    read = threading.Event()

    def empty() -> Iterator[bytes]:
        yield b"data: a\n\n"
        for _ in range(10_000):
            if read.wait(0.001):
                break
            yield b""

    body = Call(answer(EVENTS, empty), FlushPolicy(heartbeat=0.05)).body
    for piece in body:
        if piece == b":\n\n":
            read.set()
    body.close()  # type: ignore[attr-defined]
    assert read.is_set()


def test_flask_streams_with_its_context_under_the_pump() -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    ended: list[str] = []
    app.teardown_request(lambda error: ended.append("teardown"))

    @app.route("/")  # type: ignore[untyped-decorator, unused-ignore]
    def stream() -> Any:
        def chunks() -> Iterator[str]:
            for _ in range(2):
                yield f"data: {flask.request.args['q']}\n\n"

        return flask.Response(flask.stream_with_context(chunks()), mimetype="text/event-stream")

    @app.route("/page")  # type: ignore[untyped-decorator, unused-ignore]
    def page() -> str:
        return "page"

    counts = []
    for policy in (None, INLINE, PUMPED):
        ended.clear()
        assert b"".join(Call(app, policy, QUERY_STRING="q=7").read()) == b"data: 7\n\n" * 2
        call = Call(app, policy, "/page")
        assert call.read() == [b"page"]
        assert "X-Accel-Buffering" not in call.fields
        counts.append(len(ended))
    assert len(set(counts)) == 1, "contexts end as often as without a policy"


def test_a_layer_that_holds_is_found_and_one_that_does_not_is_not() -> None:
    def many() -> Iterator[bytes]:
        yield from [b"x"] * 5

    inner = tap(answer(TEXT, many), "app")
    policy = FlushPolicy(on_hold="raise", always_stream=("text/html",))
    assert Call(inner, policy).read() == [b"x"] * 5
    with pytest.raises(HeldInside, match=r"SP401 held-inside: 3 chunks \(3 B\) left the tap 'app'"):
        Call(buffering_wsgi(inner), policy)
    told: list[Any] = []
    before = holds["app"]
    Call(buffering_wsgi(inner), FlushPolicy(on_hold=told.append)).read()
    assert [finding.code for finding in told] == ["SP401"]
    assert holds["app"] == before + 1


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Expected a FlushPolicy"):
        StreamMiddleware(answer(TEXT, some), policy=FlushPolicy.for_sse)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Does one of them keep the whole body"):
        StreamMiddleware(answer(TEXT, some), policy=FlushPolicy(heartbeat=1.0, heartbeat_via="gae-standard"))
