"""The Python counting against the recorder, and the compiled counting against the Python: same events, same results.

What each does when it is used as an iterator or a coroutine is in ``test_compiled.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from types import coroutine
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproof import Outcome, Trace, wrap
from streamproof.adapters import compiled
from streamproof.adapters.asgi.recording import Watched, begun
from streamproof.adapters.recording import Listeners
from streamproof.sansio.recorder import Recorder
from streamproof.sansio.stats import GAP_BOUNDS, RunningStats, Stats
from streamproof.sansio.trace import Request

from ..support import countings

TICK = 1 / 4096  # seconds; sums of these are exact, so stats can be compared for equality
steps = st.lists(
    st.tuples(st.integers(0, 9000), st.sampled_from([0, 1, 500, 70_000]), st.integers(0, 9000)), max_size=30
)
START = 512.0


class Clock:
    """Time that only goes on when a test says so."""

    now = START

    def __call__(self) -> float:
        return self.now


def expected(drawn: list[tuple[int, int, int]], refused: bool) -> Stats:
    recorder, now = Recorder(Request(), START), START
    for number, (silence, size, wait) in enumerate(drawn):
        at = now + silence * TICK
        now = at + wait * TICK
        last = refused and number == len(drawn) - 1
        recorder.chunk(at, size, None if last else now)
    return recorder.ended(Outcome.COMPLETE, now).stats


def same(told: Trace, drawn: list[tuple[int, int, int]], refused: bool = False) -> None:
    found, wanted = told.stats.to_dict(), expected(drawn, refused).to_dict()
    found.pop("head_at"), wanted.pop("head_at")
    assert found == wanted


@pytest.fixture(params=countings.BOTH)
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    countings.count(request.param, monkeypatch)


@pytest.mark.usefixtures("counting")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.booleans())
def test_wsgi(drawn: list[tuple[int, int, int]], leaves: bool) -> None:
    clock, told = Clock(), list[Trace]()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for silence, size, _ in drawn:
            clock.now += silence * TICK
            yield bytes(size)

    with (
        patch("streamproof.adapters.recording.clock", clock),
        patch("streamproof.adapters.wsgi.bodies.clock", clock),
        patch("streamproof.wsgi.clock", clock),
    ):
        body = wrap(app, on_trace=told.append)({}, lambda *head: None)
        blocks = iter(body)
        for number, (_, _, wait) in enumerate(drawn):
            next(blocks)
            clock.now += wait * TICK
            if leaves and number == len(drawn) - 1:
                break
        else:
            assert next(blocks, None) is None
        body.close()
    same(told[0], drawn, leaves and bool(drawn))


@pytest.mark.usefixtures("counting")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_asgi(drawn: list[tuple[int, int, int]]) -> None:
    clock, told = Clock(), list[Trace]()
    waits = iter([wait for _, _, wait in drawn])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for silence, size, _ in drawn:
            clock.now += silence * TICK
            await send({"type": "http.response.body", "body": bytes(size), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def server(message: Any) -> None:
        if message.get("more_body"):
            clock.now += next(waits) * TICK

    with (
        patch("streamproof.adapters.recording.clock", clock),
        patch("streamproof.adapters.asgi.recording.clock", clock),
    ):
        coroutine = wrap(app, on_trace=told.append)({"type": "http", "method": "GET", "path": "/"}, None, server)
        with pytest.raises(StopIteration):
            coroutine.send(None)
    same(told[0], [*drawn, (0, 0, 0)])  # the last message is empty


# ---- the compiled against the Python

times = st.one_of(
    st.floats(0, 100, allow_nan=False),
    st.sampled_from([*GAP_BOUNDS, *(2 * bound for bound in GAP_BOUNDS)]),
    st.just(0.0),
)
sizes = st.one_of(st.integers(0, 9000), st.sampled_from([-1, 2**31, 2**40]))
ATTRIBUTES = RunningStats.__slots__


def both(play: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``play`` gives with what was compiled, and with the Python."""
    if compiled.counting is None:
        pytest.skip("the compiled counting was not built here: is there a C compiler?")
    found = play()
    with patch("streamproof.adapters.compiled.counting", None):
        return found, play()


@given(st.lists(st.tuples(times, sizes, st.none() | times), max_size=40))
def test_running_stats_are_equal_to_the_bit(drawn: list[tuple[float, int, float | None]]) -> None:
    def play() -> list[Any]:
        running, now, seen = compiled.running_stats(), 0.0, []
        for gap, size, wait in drawn:
            now += gap
            running.add(now, size, None if wait is None else now + wait)
            seen.append([getattr(running, name) for name in ATTRIBUTES if name != "gaps"])
            seen[-1].append(None if running.gaps is None else list(running.gaps))
        return seen

    found, wanted = both(play)
    assert found == wanted


@pytest.mark.parametrize("bound", GAP_BOUNDS)
def test_a_gap_is_in_the_bucket_whose_bound_it_does_not_pass(bound: float) -> None:
    def play() -> list[int]:
        running = compiled.running_stats()
        for at in (0.0, bound):
            running.add(at, 1, 0.0)
        running.add(bound + bound * 1.01, 1, 0.0)
        return list(running.gaps or ())

    found, wanted = both(play)
    assert found == wanted
    assert (sum(found), found[GAP_BOUNDS.index(bound)]) == (2, 1)


@pytest.mark.parametrize("size", [2**62, 2**63 - 1, 2**63, 2**200])
def test_more_bytes_than_64_bits_hold_stay_the_most_that_they_hold(size: int) -> None:
    if compiled.counting is None:
        pytest.skip("the compiled counting was not built here: is there a C compiler?")
    running = compiled.counting.RunningStats()
    for _ in range(3):
        running.add(0.0, size, 0.0)
    assert (running.bytes, running.chunks) == (2**63 - 1, 3)


BLOCKS: list[Any] = [b"", b"1", b"x" * 500, bytearray(b"12"), memoryview(b"123").cast("B"), "text", 3, None]


class Odd(bytes):
    """Bytes of a class of their own."""


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from([*BLOCKS, Odd(b"four")]), st.integers(0, 99)), max_size=8),
    st.sampled_from([None, KeyError, SystemExit]),
    st.sampled_from(["exhaust", "close", "drop"]),
    st.integers(0, 9),
)
def test_wsgi_blocks_do_the_same(drawn: list[tuple[int, Any, int]], error: Any, end: str, count: int) -> None:
    def play() -> tuple[Any, ...]:
        clock, told, log = Clock(), list[Trace](), list[Any]()

        class Body:
            """An iterator that is no generator: it may be asked again after it raised."""

            def __iter__(self) -> Iterator[Any]:
                return self

            def __next__(self) -> Any:
                for silence, block, _ in left:
                    clock.now += silence * TICK
                    return block
                if error is not None:
                    raise error
                raise StopIteration

            def close(self) -> None:
                log.append("closed")

        def app(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            return Body()

        left = iter(drawn)
        with (
            patch("streamproof.adapters.recording.clock", clock),
            patch("streamproof.adapters.wsgi.bodies.clock", clock),
            patch("streamproof.wsgi.clock", clock),
        ):
            body = wrap(app, on_trace=told.append)({}, lambda *head: None)
            blocks = iter(body)
            try:
                for number in range(10 if end == "exhaust" else count):
                    log.append(next(blocks))
                    clock.now += drawn[number][2] * TICK
            except BaseException as raised:
                log.append(type(raised))
            if end != "drop":
                body.close()
                log.append(next(blocks, "over"))
            del body, blocks
        return log, [trace.to_dict() for trace in told]

    found, wanted = both(play)
    assert found == wanted


class Reset(ConnectionResetError):
    """What a server raises."""


@coroutine
def pause() -> Generator[str, Any, Any]:
    return (yield "paused")


class Own:
    """An awaitable that is no coroutine."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __await__(self) -> Any:
        return self._inner.__await__()


class Keyed(str):
    """A key that cannot be looked up."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError


BODY = "http.response.body"
MESSAGES: list[Any] = [
    {"type": BODY, "body": b"piece", "more_body": True},
    {"more_body": True, "body": b"other order", "type": "http.response.bod" + "y"},
    {"type": BODY, "body": b"", "more_body": True},
    {"type": BODY, "body": bytearray(b"array"), "more_body": True},
    {"type": BODY, "body": Odd(b"odd"), "more_body": 1},
    {"type": BODY, "body": None, "more_body": True},
    {"type": BODY, "body": "", "more_body": True},
    {"type": BODY, "body": "text", "more_body": True},
    {"type": BODY, "body": b"more", "more_body": True, "extra": 1},
    {"type": BODY, "body": b"last", "more_body": False},
    {"type": BODY},
    {"type": "http.response.debug", "body": b"no body", "more_body": True},
    {"type": "http.response.zerocopysend", "count": 9, "more_body": True},
    {"type": "http.response.zerocopysend", "count": "nine"},
    {"type": "http.response.pathsend", "path": 3},
    {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
    {"type": "http.response.start", "status": "²²²", "headers": 5},
    {"type": "http.response.trailers"},
    {Keyed("more_body"): True, Keyed("body"): b"", Keyed("type"): BODY},
    {},
    None,
    3,
]
ways = st.sampled_from(["await", "keyword", "throw", "close", "drop", "forget", "throw first", "close first", "twice"])
servers = st.sampled_from(["coroutine", "own", "nothing", "raises when called"])
sends = st.tuples(
    st.sampled_from(MESSAGES),
    ways,
    servers,
    st.integers(0, 2),
    st.sampled_from([None, Reset, KeyError]),
    st.integers(0, 99),
)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@settings(deadline=None)
@given(st.lists(sends, max_size=6))
def test_asgi_sends_do_the_same(drawn: list[tuple[Any, str, str, int, Any, int]]) -> None:
    found, wanted = both(lambda: play_asgi(drawn))
    assert found == wanted


def play_asgi(drawn: list[tuple[Any, str, str, int, Any, int]]) -> Any:
    """What server and app see, and what is recorded."""
    clock, told, log = Clock(), list[Trace](), list[Any]()

    async def serve(message: Any, pauses: int, error: Any, wait: int) -> str:
        log.append(message)
        try:
            for _ in range(pauses):
                clock.now += wait * TICK
                log.append(await pause())
        except BaseException as raised:
            log.append(type(raised))
            raise
        clock.now += wait * TICK
        if error is not None:
            raise error
        return "ignored"

    def server(message: Any) -> Any:
        _, _, kind, pauses, error, wait = step
        if kind == "raises when called":
            raise Reset
        serving: Any = serve(message, pauses, error, wait)
        return {"coroutine": serving, "own": Own(serving)}.get(kind)

    with (
        patch("streamproof.adapters.recording.clock", clock),
        patch("streamproof.adapters.asgi.recording.clock", clock),
    ):
        recording = begun({"type": "http", "method": "GET", "path": "/"}, False, Listeners(told.append))
        send: Any = Watched(recording, None, server).sender()  # type: ignore[arg-type]
        for step in drawn:
            try:
                use(send, step[0], step[1], log)
            except BaseException as raised:
                log.append((type(raised), str(raised)))
            clock.now += TICK
        log.append((recording.gone, recording.recorder.stats(clock.now)))
        recording.finish("returned")
    return log, [trace.to_dict() for trace in told]


def use(send: Any, message: Any, way: str, log: list[Any]) -> None:
    """Send ``message`` as an app does that is canceled, closed or forgotten on the way."""
    sending = send(message=message) if way == "keyword" else send(message)
    if way == "forget":
        return
    if way == "throw first":
        sending.throw(KeyError("thrown"))
    if way == "close first":
        sending.close()
    try:
        log.append(sending.send(None))
        if way == "throw":
            log.append(sending.throw(Reset("thrown")))
        elif way == "close":
            log.append(sending.close())
        elif way == "drop":
            return
        while True:
            log.append(sending.send(7))
    except StopIteration as over:
        log.append(over.value)
    if way == "twice":
        sending.send(None)


def test_what_else_the_apps_iterable_has_can_be_seen_through_the_recorded_one() -> None:
    class Response:
        status_code = 200

        def __iter__(self) -> Iterator[bytes]:
            yield b"body"

        def __bytes__(self) -> bytes:
            return b"all of it"

    body: Any = wrap(lambda environ, start_response: Response(), on_trace=print)({}, lambda *head: None)
    assert (body.status_code, bytes(body)) == (200, b"all of it")
    assert not hasattr(body, "__len__")
    with pytest.raises(AttributeError):
        body.missing  # noqa: B018


def test_a_query_string_that_is_text_is_taken_as_it_is() -> None:
    told = list[Trace]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def server(message: Any) -> None: ...

    scope = {"type": "http", "method": "GET", "path": "/é", "query_string": "name=Andrew"}
    with pytest.raises(StopIteration):
        wrap(app, on_trace=told.append)(scope, None, server).send(None)
    assert told[0].request.target == "/%C3%A9?name=Andrew"
