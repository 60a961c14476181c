"""A client of a transport holds each chunk before the next is made; a buffering twin is noticed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamproof.testing.buffering import buffered
from streamproof.testing.clocks import SteppedClock
from streamproof.testing.lockstep import Held, assert_streams, assert_streams_async
from streamproof.testing.transports import Transport

from ..support.testing_apps import ASGIStream, need
from ..support.transport_streams import CHUNKS, KINDS, URL


@pytest.mark.parametrize("kind", KINDS)
def test_each_chunk_is_read_before_the_next_is_made(library: Any, kind: Any, clock: SteppedClock) -> None:
    app = kind()
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        for number, chunk in enumerate(response.iter_raw(), 1):
            assert chunk == CHUNKS[number - 1]
            assert app.events[-1] == f"made {number}"
    assert response.headers["content-type"] == "text/plain"
    assert clock.now - clock.start == 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_an_async_reader_holds_each_chunk_before_the_next_is_made(library: Any, kind: Any, run: Any) -> None:
    app = kind(seconds=0.0)

    async def main() -> None:
        async with (
            library.AsyncClient(transport=Transport(app)) as client,
            client.stream("GET", URL) as response,
        ):
            number = 0
            async for chunk in response.aiter_raw():
                number += 1
                assert chunk == CHUNKS[number - 1]
                assert app.events[-1] == f"made {number}"
            assert number == 5

    run(main)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_the_proof_passes_on_the_app_and_fails_on_its_buffered_twin(
    library: Any, kind: Any, control: bool, clock: SteppedClock
) -> None:
    app = buffered(kind()) if control else kind()
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        if control:
            with pytest.raises(Held, match="inner app produced chunk 2 before the reader held chunk 1"):
                assert_streams(response)
        else:
            assert_streams(response)


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_the_proof_holds_for_endless_streams_of_async_clients(library: Any, run: Any, control: bool) -> None:
    app = buffered(ASGIStream(chunks=None)) if control else ASGIStream(chunks=None)

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client, client.stream("GET", URL) as response:
            if control:
                with pytest.raises(Held, match="inner app produced chunk 2"):
                    await assert_streams_async(response, chunks=3)
            else:
                await assert_streams_async(response, chunks=3)

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_may_leave_an_endless_stream_and_the_app_sees_it(library: Any, kind: Any, clock: SteppedClock) -> None:
    app = kind(chunks=None)
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        arrivals = response.iter_raw()  # httpx2 closes the response with it
        assert next(arrivals) == CHUNKS[0]
        assert app.events == ["made 1"]
        response.close()
        assert app.events[-1] == "closed"
    assert response.trace.outcome == "client_gone"


@pytest.mark.parametrize("kind", KINDS)
def test_the_trace_of_a_reader_who_left_has_what_was_made_and_says_what_was_taken(
    library: Any, kind: Any, clock: SteppedClock
) -> None:
    with library.Client(transport=Transport(kind(chunks=None))) as client, client.stream("GET", URL) as response:
        arrivals = response.iter_raw()
        assert [next(arrivals), next(arrivals)] == CHUNKS[:2]
        response.close()
    trace = response.trace
    assert [(chunk.at, chunk.accepted_at) for chunk in trace.chunks] == [(0.0, 0.0), (1.0, None)]
    assert (trace.outcome, trace.end.at, trace.end.reason) == ("client_gone", 1.0, "the reader left")
    assert trace.delivery.stats.chunks == 2


def test_a_window_lets_the_app_run_ahead_as_far_as_it_is_wide(clock: SteppedClock) -> None:
    need("httpx")
    import httpx

    def made(window: Any) -> int:
        app = ASGIStream(chunks=50, seconds=0.0)

        async def main() -> int:
            async with (
                httpx.AsyncClient(transport=Transport(app, window=window)) as client,
                client.stream("GET", URL) as response,
            ):
                await anext(response.aiter_raw())
                for _ in range(200):
                    await asyncio.sleep(0)
                return len(app.events)

        with asyncio.Runner() as runner:
            return runner.run(main())

    assert made(0) == 1
    assert made(24) == 4
    assert made(None) >= 50


def test_a_sync_client_works_inside_a_running_loop_too(library: Any) -> None:
    async def main() -> None:
        with library.Client(transport=Transport(ASGIStream(seconds=0.0))) as client:
            assert client.get(URL).content == b"".join(CHUNKS)

    asyncio.run(main())
