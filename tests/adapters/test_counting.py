"""Both middlewares count inline what the recorder would have counted chunk by chunk: the same figures, to the bit.

Each in Python and compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproof import Outcome, Trace, wrap
from streamproof.sansio.recorder import Recorder
from streamproof.sansio.stats import Stats
from streamproof.sansio.trace import Request

from ..support import countings

TICK = 1 / 4096  # seconds; sums of these are exact, so figures can be compared for equality
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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
