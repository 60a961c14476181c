"""Hops in the process (ASGI): held, released, cut and answered as the machine says; the app is told, no task left."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streamproof import Outcome, Trace
from streamproof.adapters.via import HopCut
from streamproof.asgi import StreamMiddleware
from tests.support.asgi_messages import DISCONNECT, LAST, SCOPE, START, never, piece, sending
from tests.support.buffering import buffering_asgi
from tests.support.hop_doubles import Answering, BodyHeld, Cutting, Releasing, Straight, TimedStraight, Ways, Whole

LIMIT = 5.0  # seconds that no step takes
SOON = 0.05

BOTH = pytest.mark.parametrize("stage", [Straight, TimedStraight], ids=["untimed", "timed"])


class Reader:
    """What the server was sent, and what became of the app's call."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.traces: list[Trace] = []
        self.got = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.got.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def kinds(self) -> list[str]:
        return [message["type"].rpartition(".")[2] for message in self.sent]


def run(
    machine: Any,
    app: Any,
    *,
    receive: Callable[[], Awaitable[Any]] = never,
    expected: type[BaseException] | None = None,
    headers: Any = (),
) -> Reader:
    async def main() -> Reader:
        reader = Reader()
        via: Any = machine if isinstance(machine, str) else Ways(machine)
        middleware = StreamMiddleware(app, via=via, on_trace=reader.traces.append)
        call = middleware({**SCOPE, "headers": headers}, receive, reader.send)
        if expected is None:
            await asyncio.wait_for(call, LIMIT)
        else:
            with pytest.raises(expected):
                await asyncio.wait_for(call, LIMIT)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return reader

    return asyncio.run(main())


@BOTH
def test_a_whole_response_with_its_trace(stage: Any) -> None:
    reader = run(lambda now: stage(), sending(START, piece(b"a"), piece(b""), piece(b"bb", False)))
    assert reader.kinds == ["start", "body", "body", "body"]
    assert reader.body == b"abb"
    assert [message.get("more_body") for message in reader.sent[1:]] == [True, True, False]
    assert [(trace.outcome, trace.stats.bytes) for trace in reader.traces] == [(Outcome.COMPLETE, 3)]


@BOTH
@pytest.mark.parametrize("join", [False, True], ids=["as_is", "joined"])
def test_what_is_not_held_goes_on_at_once(stage: Any, join: bool) -> None:
    in_time: list[bool] = []
    readers: list[Reader] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(3):
            in_time.append(len(readers[0].body) == number)
            await send(piece(b"x", number < 2))

    async def main() -> None:
        readers.append(Reader())
        through: Any = StreamMiddleware(app, via=Ways(lambda now: stage()))  # type: ignore[arg-type]
        await (buffering_asgi(through) if join else through)(dict(SCOPE), never, readers[0].send)

    asyncio.run(main())
    assert all(in_time) is not join


@pytest.mark.parametrize("stage", [BodyHeld, Whole])
def test_what_a_hop_holds_leaves_at_the_end(stage: Any) -> None:
    seen: list[list[str]] = []
    readers: list[Reader] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(START, piece(b"a"), piece(b"b"))(scope, receive, send)
        seen.append(readers[0].kinds)
        await send(LAST)

    async def main() -> None:
        readers.append(Reader())
        middleware = StreamMiddleware(app, via=Ways(lambda now: stage()))  # type: ignore[arg-type]
        await middleware(dict(SCOPE), never, readers[0].send)

    asyncio.run(main())
    assert seen == [["start"] if stage is BodyHeld else []]
    assert readers[0].body == b"ab"


def test_a_timed_release_comes_while_the_app_is_silent_and_the_call_waits_for_the_last() -> None:
    readers: list[Reader] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"a"))
        readers[0].got.clear()
        await readers[0].got.wait()
        await send(piece(b"b"))
        await send(LAST)

    async def main() -> None:
        readers.append(Reader())
        middleware = StreamMiddleware(app, via=Ways(lambda now: Releasing(SOON)))  # type: ignore[arg-type]
        await asyncio.wait_for(middleware(dict(SCOPE), never, readers[0].send), LIMIT)

    asyncio.run(main())
    assert readers[0].body == b"ab"
    assert readers[0].sent[-1]["more_body"] is False


def test_a_hop_answers_in_the_apps_place_and_the_app_is_told() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(await receive())
        with pytest.raises(OSError, match="answered in the app's place"):
            await send(START)

    reader = run(lambda now: Answering(now, SOON), app)
    assert reader.sent[0]["status"] == 504
    assert reader.sent[0]["headers"] == [(b"content-type", b"text/plain")]
    assert reader.body == b"too late"
    assert told == [DISCONNECT]
    assert (reader.traces[0].outcome, reader.traces[0].end.by) == (Outcome.CUT, "test-hop")


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_cut_ends_a_silent_app_and_reaches_the_server(stubborn: bool) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(START, piece(b"a"))(scope, receive, send)
        try:
            await never()
        except asyncio.CancelledError:
            ended.append("cancelled")
            if not stubborn:
                raise

    reader = run(lambda now: Cutting(now, SOON), app, expected=HopCut)
    assert reader.kinds == ["start", "body"]
    assert ended == ["cancelled"]
    assert [(trace.outcome, trace.end.reason) for trace in reader.traces] == [(Outcome.CUT, "idle")]


@BOTH
@pytest.mark.parametrize("after", [0, 1, 2])
def test_the_apps_exception_is_raised_on(stage: Any, after: int) -> None:
    messages = [START, piece(b"a")][:after]
    reader = run(lambda now: stage(), sending(*messages, ValueError("x")), expected=ValueError)
    assert reader.sent == [START, piece(b"a")][:after]
    assert [trace.outcome for trace in reader.traces] == [Outcome.APP_ERROR]


def test_what_a_hop_held_is_released_before_the_apps_exception() -> None:
    reader = run(lambda now: BodyHeld(), sending(START, piece(b"a"), ValueError("x")), expected=ValueError)
    assert reader.body == b"a"


def test_an_app_that_returns_early_leaves_the_response_open_to_the_server() -> None:
    reader = run(lambda now: TimedStraight(), sending(START, piece(b"a")))
    assert reader.kinds == ["start", "body"]
    assert reader.traces[0].outcome is Outcome.APP_ERROR


def test_a_reader_who_leaves_is_seen() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        assert await receive() == DISCONNECT

    async def receive() -> Any:
        return DISCONNECT

    reader = run(lambda now: TimedStraight(), app, receive=receive)
    assert [trace.outcome for trace in reader.traces] == [Outcome.CLIENT_GONE]


def test_a_receive_that_was_given_up_loses_no_message() -> None:
    arrived = [{"type": "http.request", "body": b"x"}]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        gate.set()
        seen.append(await receive())
        await sending(START, LAST)(scope, receive, send)

    gate = asyncio.Event()

    async def receive() -> Any:
        await gate.wait()
        return arrived.pop(0) if arrived else await never()

    run(lambda now: Straight(), app, receive=receive)
    assert seen == [{"type": "http.request", "body": b"x"}]


def test_a_server_that_fails_at_a_wake_fails_the_app() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(START, piece(b"a"))(scope, receive, send)
        assert await receive() == DISCONNECT
        await send(LAST)

    async def main() -> list[Trace]:
        traces: list[Trace] = []

        async def send(message: Any) -> None:
            if message.get("body"):
                raise ConnectionResetError

        middleware = StreamMiddleware(app, via=Ways(lambda now: Releasing(SOON)), on_trace=traces.append)  # type: ignore[arg-type]
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(middleware(dict(SCOPE), never, send), LIMIT)
        return traces

    assert [trace.outcome for trace in asyncio.run(main())] == [Outcome.CLIENT_GONE]


def test_a_cancelled_call_leaves_nothing_behind() -> None:
    async def main() -> None:
        reader = Reader()
        middleware = StreamMiddleware(sending(START), via=Ways(lambda now: Cutting(now, 60)))  # type: ignore[arg-type]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await receive()

        middleware = StreamMiddleware(app, via=Ways(lambda now: Cutting(now, 60)))  # type: ignore[arg-type]
        task = asyncio.ensure_future(middleware(dict(SCOPE), never, reader.send))
        await reader.got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_files_are_read_for_the_hops(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    reader = run(lambda now: Straight(), sending(START, {"type": "http.response.pathsend", "path": str(path)}))
    assert reader.body == b"0123456789"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        message = {"type": "http.response.zerocopysend", "file": descriptor, "offset": 2, "count": 3}
        assert run(lambda now: Straight(), sending(START, message)).body == b"234"
    finally:
        os.close(descriptor)


def test_unknown_messages_and_trailers_pass() -> None:
    early = {"type": "http.response.informational", "status": 103}
    trailers = {"type": "http.response.trailers", "headers": []}
    reader = run(lambda now: Straight(), sending(early, {**START, "trailers": True}, LAST, trailers))
    assert reader.kinds == ["informational", "start", "body", "trailers"]
    assert reader.sent[1]["trailers"] is True
    assert reader.traces[0].outcome is Outcome.COMPLETE


def test_a_real_profile_compresses_for_real(caplog: pytest.LogCaptureFixture) -> None:
    start = {**START, "headers": [(b"content-type", b"text/html"), (b"content-length", b"2000")]}
    with caplog.at_level(logging.WARNING, "streamproof"):
        reader = run(
            "nginx:gzip=on", sending(start, piece(b"x" * 2000, False)), headers=[(b"accept-encoding", b"gzip")]
        )
    assert gzip.decompress(reader.body) == b"x" * 2000
    assert (b"content-encoding", b"gzip") in reader.sent[0]["headers"]
    assert [entry.getMessage().count("nginx:gzip=on") for entry in caplog.records] == [1]
