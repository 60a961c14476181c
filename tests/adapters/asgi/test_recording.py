"""The ASGI middleware records what happened and changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import anyio
import pytest
from asgiref.testing import ApplicationCommunicator
from hypothesis import given
from hypothesis import strategies as st

from streamproof import Outcome, Trace
from streamproof.asgi import StreamMiddleware
from streamproof.testing import Held, assert_streams, buffered, client, tap, trace_of
from tests.support.asgi_messages import DISCONNECT, LAST, SCOPE, START, never, piece, sending
from tests.support.testing_apps import ASGIStream


def ignore(trace: Trace) -> None: ...


def run(
    app: Any, *, receive: Callable[[], Awaitable[Any]] = never, send: Any = None, keep: bool | int = False
) -> tuple[list[Any], list[Trace]]:
    """What the server got, and the traces; what the app raises is raised on with both as notes."""
    sent: list[Any] = []
    traces: list[Trace] = []

    async def keep_message(message: Any) -> None:
        sent.append(message)

    middleware = StreamMiddleware(app, on_trace=traces.append, keep_chunks=keep)
    try:
        asyncio.run(middleware(dict(SCOPE), receive, send or keep_message))
    except BaseException as error:
        error.traces = traces  # type: ignore[attr-defined]
        raise
    return sent, traces


def raised(kind: type[BaseException], app: Any, **options: Any) -> list[Trace]:
    with pytest.raises(kind) as caught:
        run(app, **options)
    traces: list[Trace] = caught.value.traces  # type: ignore[attr-defined]
    return traces


def test_a_stream_becomes_a_trace_and_messages_pass_as_they_are() -> None:
    messages = [START, piece(b"one"), piece(b""), piece(b"three"), LAST]
    sent, traces = run(sending(*messages))
    assert all(got is given for got, given in zip(sent, messages, strict=True))
    (trace,) = traces
    assert trace.outcome is Outcome.COMPLETE
    assert (trace.stats.chunks, trace.stats.bytes) == (2, 8)
    assert (trace.request.target, trace.request.headers) == ("/a%20b?q=1", (("cookie", "[redacted]"),))
    assert Trace.from_dict(trace.to_dict()).to_dict() == trace.to_dict()


@pytest.mark.parametrize("keep", [False, True])
def test_fields_that_can_be_read_only_once_reach_the_server(keep: bool) -> None:
    fields = [(b"content-type", b"text/plain"), (b"x-a", b"b")]
    sent, (trace,) = run(sending({**START, "headers": iter(fields)}, LAST), keep=keep)
    assert list(sent[0]["headers"]) == fields
    assert trace.response is not None
    assert trace.response.headers == (("content-type", "text/plain"), ("x-a", "b"))


def test_the_signature_is_what_servers_look_for() -> None:
    middleware = StreamMiddleware(sending())
    assert list(inspect.signature(middleware).parameters) == ["scope", "receive", "send"]
    assert inspect.iscoroutinefunction(type(middleware).__call__)


@pytest.mark.parametrize("scope", [{"type": "websocket"}, {"type": "lifespan"}, {}, ("127.0.0.1", 9)])  # no scope: UDP
def test_other_scopes_go_untouched(scope: Any) -> None:
    seen: list[Any] = []

    async def app(*args: Any) -> str:
        seen.extend(args)
        return "result"

    async def send(message: Any) -> None: ...

    assert asyncio.run(StreamMiddleware(app, on_trace=ignore)(scope, never, send)) == "result"
    assert [given is got for given, got in zip((scope, never, send), seen, strict=True)] == [True] * 3


def test_the_scope_is_the_servers_and_the_result_the_apps() -> None:
    scope = dict(SCOPE)
    seen: list[Any] = []

    async def app(given: Any, receive: Any, send: Any) -> str:
        seen.append(given)
        return "result"

    async def send(message: Any) -> None: ...

    assert asyncio.run(StreamMiddleware(app, on_trace=ignore)(scope, never, send)) == "result"
    assert seen[0] is scope
    assert scope == SCOPE


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_each_chunk_reaches_the_reader_before_the_app_makes_the_next(control: bool) -> None:
    recorded = StreamMiddleware(tap(ASGIStream(3, seconds=0.0)), on_trace=ignore)
    with client(buffered(recorded) if control else recorded) as http, http.stream("GET", "/") as response:
        with pytest.raises(Held, match="before the reader held chunk 1") if control else nullcontext():
            assert_streams(response)
        assert trace_of(response).stats.bytes == 24


def test_the_times_split_the_app_from_the_server() -> None:
    async def slow(message: Any) -> None:
        await asyncio.sleep(0.02)

    _, traces = run(sending(START, piece(b"a"), piece(b"b", False)), send=slow, keep=True)
    for chunk in traces[0].chunks:
        assert chunk.accepted_at is not None
        assert chunk.accepted_at - chunk.at > 0.01
    assert [chunk.data for chunk in traces[0].chunks] == [b"a", b"b"]


def test_concurrent_sends_have_their_own_times() -> None:
    gate: list[asyncio.Event] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        gate.append(asyncio.Event())
        await send(START)
        held = asyncio.ensure_future(send(piece(b"held")))
        await asyncio.sleep(0)
        await send(piece(b"ping"))
        gate[0].set()
        await held
        await send(LAST)

    async def send(message: Any) -> None:
        if message.get("body") == b"held":
            await gate[0].wait()

    for keep in (True, False):
        _, traces = run(app, send=send, keep=keep)
        assert (traces[0].stats.chunks, traces[0].outcome) == (2, Outcome.COMPLETE)
        gate.clear()
    assert [chunk.data for chunk in run(app, send=send, keep=True)[1][0].chunks] == [b"held", b"ping"]


def test_background_work_does_not_delay_the_trace_nor_change_it() -> None:
    traces: list[Trace] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(START, LAST)(scope, receive, send)
        assert len(traces) == 1
        raise ValueError("in the background task")

    async def send(message: Any) -> None: ...

    with pytest.raises(ValueError, match="background"):
        asyncio.run(StreamMiddleware(app, on_trace=traces.append)(dict(SCOPE), never, send))
    assert [trace.outcome for trace in traces] == [Outcome.COMPLETE]


@pytest.mark.parametrize("messages", [[], [START], [START, piece(b"a")]], ids=["nothing", "head", "chunk"])
def test_an_app_that_returns_early_is_at_fault(messages: list[Any]) -> None:
    _, traces = run(sending(*messages))
    assert traces[0].outcome is Outcome.APP_ERROR
    assert traces[0].end.reason == "returned without completing the response"


def test_an_exception_is_the_apps_error() -> None:
    (trace,) = raised(ValueError, sending(START, piece(b"a"), ValueError("x")))
    assert (trace.outcome, trace.end.reason, trace.stats.bytes) == (Outcome.APP_ERROR, "ValueError", 1)


def test_an_oserror_of_the_app_does_not_look_like_a_reader_who_left() -> None:
    (trace,) = raised(FileNotFoundError, sending(START, FileNotFoundError("x")))
    assert trace.outcome is Outcome.APP_ERROR


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("at", ["http.response.start", "http.response.body"])
def test_a_send_that_fails_means_that_the_reader_left(at: str, keep: bool) -> None:
    async def send(message: Any) -> None:
        if message["type"] == at:
            raise ConnectionResetError

    (trace,) = raised(ConnectionResetError, sending(START, piece(b"a")), send=send, keep=keep)
    assert trace.outcome is Outcome.CLIENT_GONE
    if keep and at == "http.response.body":
        assert trace.chunks[0].accepted_at is None


def test_an_app_that_heard_of_the_disconnect_and_goes_on_has_no_reader() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        assert await receive() is DISCONNECT
        await send(LAST)

    async def receive() -> Any:
        return DISCONNECT

    _, traces = run(app, receive=receive)
    assert [trace.outcome for trace in traces] == [Outcome.CLIENT_GONE]


def test_request_messages_pass_receive_as_they_are() -> None:
    message = {"type": "http.request", "body": b"x", "more_body": False}
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        await sending(START, LAST)(scope, receive, send)

    async def receive() -> Any:
        return message

    _, traces = run(app, receive=receive)
    assert seen[0] is message
    assert traces[0].outcome is Outcome.COMPLETE


async def cancelled(receive: Any) -> list[Trace]:
    """What is recorded of a response whose task is cancelled after its head."""
    traces: list[Trace] = []
    reached = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        reached.set()
        await never()

    async def send(message: Any) -> None: ...

    task = asyncio.ensure_future(StreamMiddleware(app, on_trace=traces.append)(dict(SCOPE), receive, send))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return traces


@pytest.mark.parametrize("gone", [True, False])
def test_a_cancelled_task_is_a_reader_who_left_or_a_shutdown(gone: bool) -> None:
    waiting: list[Any] = [{"type": "http.request"}, DISCONNECT] if gone else [{"type": "http.request"}]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else await never()

    traces = asyncio.run(cancelled(receive))
    assert [trace.outcome for trace in traces] == [Outcome.CLIENT_GONE if gone else Outcome.SHUTDOWN]


def test_a_cancelled_receive_is_let_finish() -> None:
    """One that holds a task group, as Starlette's BaseHTTPMiddleware hands down, else breaks the task it ran in."""
    traces: list[Trace] = []
    finished: list[bool] = []

    async def receive() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            try:
                await anyio.sleep_forever()
            finally:
                finished.append(True)

    async def main() -> None:
        traces.extend(await cancelled(receive))
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert (finished, [trace.outcome for trace in traces]) == ([True], [Outcome.SHUTDOWN])


@pytest.mark.parametrize("message", [{"path": __file__}, {"path": "/not/there"}])
def test_pathsend_ends_the_response(message: dict[str, str]) -> None:
    sent, traces = run(sending(START, {"type": "http.response.pathsend", **message}))
    assert sent[1]["path"] == message["path"]
    assert traces[0].outcome is Outcome.COMPLETE
    assert (traces[0].stats.bytes > 0) == (message["path"] == __file__)


def test_zero_copy_and_trailers_and_the_unheard_of() -> None:
    messages = [
        {"type": "http.response.informational", "status": 103},
        {"type": "http.response.debug", "info": {}},
        {**START, "trailers": True},
        {"type": "http.response.zerocopysend", "file": io.BytesIO(), "count": 7, "more_body": True},
        LAST,
        {"type": "http.response.trailers", "more_trailers": True},
        {"type": "http.response.trailers"},
    ]
    sent, traces = run(sending(*messages))
    assert all(got is given for got, given in zip(sent, messages, strict=True))
    assert (traces[0].stats.bytes, traces[0].outcome) == (7, Outcome.COMPLETE)


def test_a_listener_that_raises_is_logged_once_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    def broken(trace: Trace) -> None:
        raise RuntimeError("exporter down")

    async def send(message: Any) -> None: ...

    middleware = StreamMiddleware(sending(START, LAST), on_trace=broken)
    with caplog.at_level(logging.ERROR, "streamproof"):
        for _ in range(3):
            asyncio.run(middleware(dict(SCOPE), never, send))
    assert len(caplog.records) == 1


def test_asgirefs_communicator_is_content() -> None:
    async def main() -> list[Any]:
        app = StreamMiddleware(sending(START, piece(b"a"), LAST), on_trace=traces.append)
        communicator: Any = ApplicationCommunicator(app, dict(SCOPE))  # type: ignore[no-untyped-call]
        messages = [await communicator.receive_output(5) for _ in range(3)]
        await communicator.wait()
        return messages

    traces: list[Trace] = []
    assert asyncio.run(main()) == [START, piece(b"a"), LAST]
    assert traces[0].outcome is Outcome.COMPLETE


@given(st.lists(st.binary(max_size=9)), st.booleans(), st.booleans())
def test_bytes_fit_whatever_was_sent(blocks: list[bytes], keep: bool, ends: bool) -> None:
    _, traces = run(sending(START, *map(piece, blocks), *[LAST] * ends), keep=keep)
    assert traces[0].stats.bytes == sum(map(len, blocks))
    assert traces[0].outcome is (Outcome.COMPLETE if ends else Outcome.APP_ERROR)
    if keep:
        assert traces[0].body == b"".join(blocks)


def test_an_endless_stream_needs_no_more_memory_than_a_short_one() -> None:
    held: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        message = piece(b"x" * 10)
        for count in (10_000, 150_000):
            for _ in range(count):
                await send(message)
            held.append(tracemalloc.get_traced_memory()[0])
        await send(LAST)

    async def send(message: Any) -> None: ...

    tracemalloc.start()
    try:
        run(app, send=send)
    finally:
        tracemalloc.stop()
    assert abs(held[1] - held[0]) < 1024
