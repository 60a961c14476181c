"""What the causal proof sees: layers that hold, merge, cut up again; and what its pictures show."""

import asyncio
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from streamproof.adapters.taps import tap
from streamproof.testing.clocks import SteppedClock, stepped
from streamproof.testing.event_log import READER, EventLog
from streamproof.testing.lockstep import (
    Held,
    NotStopped,
    assert_stops,
    assert_stops_async,
    assert_streams,
    find_fault,
    ran_ahead,
)
from streamproof.testing.recorded import recording, trace_of
from streamproof.testing.transports import async_client, client

from ..support.testing_apps import ASGIStream, WSGIStream, need


@pytest.fixture(autouse=True)
def clock() -> Iterator[SteppedClock]:
    need("httpx")
    with stepped() as clock:
        yield clock


def event_log(*events: str, size: int = 1) -> EventLog:
    """A ledger of `events`: a place's name, and how many bytes when it is not `size`."""
    made = EventLog()
    for event in events:
        place, _, count = event.partition(" ")
        if place not in (READER, "app") and place not in made.places:
            made.place(place)
        made.add(0.0, place, int(count or size))
    return made


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (["app", "reader", "app", "reader"], None),
        (["app", "app", "reader", "reader"], "app produced chunk 2 before the reader held chunk 1."),
        (["app", "reader", "app", "app", "reader", "reader"], "app produced chunk 3 before the reader held chunk 2."),
        (["app 2", "reader", "reader", "app", "reader"], None),  # cut in two on its way
        (["app 2", "reader", "app", "reader", "reader"], "app produced chunk 2 before the reader held chunk 1."),
        (["in", "app", "reader", "in", "app", "reader"], None),
        (["in", "in", "app", "reader", "app", "reader"], "in produced chunk 2 before the reader held chunk 1."),
        (["in 9", "app", "reader", "in 9", "app", "reader"], None),  # compressed: counted, not measured
        (["in 9", "in 9", "app", "reader", "app", "reader"], "in produced chunk 2 before the reader held chunk 1."),
        (["app", "reader"], "Nothing proves that this streams: 1 chunk of 1 B came, expected at least 2."),
        ([], "Nothing proves that this streams: 0 chunks of 0 B came, expected at least 2."),
    ],
)
def test_order_decides(events: list[str], fault: str | None) -> None:
    found = find_fault(event_log(*events))
    if fault is None:
        assert found is None
    else:
        assert found is not None
        assert fault in found


def test_the_first_chunk_that_was_overtaken_is_the_one_named() -> None:
    found = ran_ahead(event_log("app 5", "reader 5", "app 7", "app", "reader 7", "reader"), "app")
    assert found is not None
    assert (found[0], found[1].size) == (2, 7)


class Resplits:
    """Collects the body and cuts it up again: from outside, a slow app that streams."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        chunks = list(self.app(environ, start_response))
        yield from chunks


def test_a_layer_that_cuts_up_again_is_caught_by_virtual_time() -> None:
    with (
        client(Resplits(WSGIStream())) as reader,
        reader.stream("GET", "/") as response,
        pytest.raises(Held, match=r"time passed until 5\.000 s, and then all 5 chunks came at once"),
    ):
        assert_streams(response)


def test_a_layer_that_cuts_up_again_is_caught_by_a_tap() -> None:
    app = Resplits(tap(WSGIStream(seconds=0.0)))
    with client(app) as reader, reader.stream("GET", "/") as response, pytest.raises(Held) as caught:
        assert_streams(response)
    assert str(caught.value).startswith(
        "The stream is held: inner app produced chunk 2 before the reader held chunk 1."
    )
    assert "Held between inner app and app." in str(caught.value)


def test_several_taps_tell_between_which_two_the_bytes_are_held() -> None:
    app = tap(Resplits(tap(WSGIStream(seconds=0.0), "source")), "behind the layer")
    with client(app) as reader, reader.stream("GET", "/") as response, pytest.raises(Held) as caught:
        assert_streams(response)
    assert "Held between source and behind the layer." in str(caught.value)


def test_taps_change_nothing_outside_a_test() -> None:
    app = tap(WSGIStream())
    assert list(app({}, lambda status, headers: None))[0] == b"chunk 1\n"


def test_a_layer_that_compresses_chunk_by_chunk_passes() -> None:
    def gzip(app: Any) -> Any:
        def compressed(environ: Any, start_response: Any) -> Iterator[bytes]:
            packer = zlib.compressobj(wbits=31)
            result = app(environ, lambda status, headers: start_response(status, [("Content-Encoding", "gzip")]))
            for chunk in result:
                yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
            yield packer.flush()

        return compressed

    with client(gzip(tap(WSGIStream()))) as reader, reader.stream("GET", "/") as response:
        assert_streams(response)


def test_the_proof_can_come_after_the_reading() -> None:
    for kind in (WSGIStream, ASGIStream):
        with client(kind()) as reader:
            response = reader.get("/")
            assert len(response.content) == 40
            assert_streams(response)


def test_long_pictures_leave_the_middle_out() -> None:
    app = Resplits(tap(WSGIStream(chunks=50, seconds=0.0)))
    with client(app) as reader, reader.stream("GET", "/") as response, pytest.raises(Held, match=r"\.\.\. 134 more"):
        assert_streams(response)


def test_a_foreign_response_is_refused() -> None:
    with pytest.raises(TypeError, match="did not come through streamproof"):
        assert_streams(object())


def test_a_deaf_app_is_not_stopped_and_told_of() -> None:
    with client(ASGIStream(chunks=None, listens=False)) as reader, reader.stream("GET", "/") as response:
        next(response.extensions["streamproof"].body_iterator)
        with pytest.raises(NotStopped, match=r"uvicorn sent the app http.disconnect, and the app works on"):
            assert_stops(response)
    app = ASGIStream(chunks=None, listens=False)
    with client(app, server="daphne") as reader, reader.stream("GET", "/") as response:
        next(response.extensions["streamproof"].body_iterator)
        with pytest.raises(NotStopped, match="until daphne cancelled it after 10 s"):
            assert_stops(response)


def test_async_responses_are_asserted_with_await() -> None:
    async def main() -> None:
        async with async_client(ASGIStream(seconds=0.0)) as reader, reader.stream("GET", "/") as response:
            with pytest.raises(TypeError, match="Expected: await assert_streams_async"):
                assert_streams(response)
            await assert_stops_async(response)

    asyncio.run(main())


def test_a_running_response_has_no_trace_yet() -> None:
    with client(WSGIStream()) as reader, reader.stream("GET", "/") as response:
        with pytest.raises(RuntimeError, match="still running"):
            trace_of(response)
        response.read()
        assert repr(trace_of(response)) == "<RecordedTrace 5 chunks, 40 B in 5.00 s, complete>"


def test_recordings_are_gathered_whoever_asks() -> None:
    with recording() as traces, client(WSGIStream()) as reader:
        reader.get("/a")
        reader.get("/b")
    assert [trace.request.target for trace in traces] == ["/a", "/b"]


def test_budgets_see_the_readers_side() -> None:
    with client(WSGIStream(), via="gae-standard") as reader:
        trace = trace_of(reader.get("/"))
    assert trace.within(first_byte=5.0)
    late = trace.within(first_byte=4.0, max_hold=1.0)
    assert not late
    assert [finding.code for finding in late.findings] == ["SP101", "SP104"]
    assert repr(late).startswith("over its budget: SP101 late-first-byte: 5.000 s, the budget is 4 s.")
    assert repr(trace.within()) == "within its budget"


def test_a_trace_survives_what_passes_it_and_not_what_holds_it() -> None:
    with client(WSGIStream()) as reader:
        trace = trace_of(reader.get("/"))
    trace.assert_survives("passthrough")
    with pytest.raises(AssertionError, match="does not survive gae-standard: held to the end"):
        trace.assert_survives("passthrough", "gae-standard")
    with pytest.raises(ValueError, match="is not a known profile"):
        trace.assert_survives("ngnix")
