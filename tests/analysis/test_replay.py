"""What a replay promises whatever the hops, and what the reader sees at each kind of end."""

from __future__ import annotations

import zlib
from dataclasses import replace as with_changes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamproof
from streamproof import NeedsData, Trace, TraceError, replay
from streamproof.profiles import catalogue, resolve
from streamproof.sansio.delivery import bursts
from streamproof.sansio.trace import Outcome, Request

from ..support.traces import stream, tokens

schedules = st.lists(st.tuples(st.floats(0, 3), st.binary(min_size=1, max_size=9000)), min_size=1, max_size=12)

VIAS = [*catalogue(), "nginx:proxy_http_version=1.1,tls=on", "nginx:gzip=on,gzip_types=text/plain", "nginx+heroku"]


def scheduled(drawn: list[tuple[float, bytes]], framing: str) -> Trace:
    now, chunks = 0.0, []
    for gap, data in drawn:
        now += gap
        chunks.append((now, data))
    headers = [("Content-Type", "text/plain")]
    if framing == "length":
        headers.append(("Content-Length", str(sum(len(data) for _, data in drawn))))
    return stream(chunks, end=now + 0.1, headers=headers, framing=framing)  # type: ignore[arg-type]


@pytest.mark.parametrize("via", VIAS)
@settings(max_examples=25, deadline=None)
@given(drawn=schedules, framing=st.sampled_from(["chunked", "close", "length"]), gzip=st.booleans())
def test_no_byte_is_lost_added_reordered_or_early(
    via: str, drawn: list[tuple[float, bytes]], framing: str, gzip: bool
) -> None:
    trace = scheduled(drawn, framing)
    if gzip:
        trace = with_changes(trace, request=Request(headers=(("Accept-Encoding", "gzip"),)))
    delivery = replay(trace, via)
    if delivery.outcome is not Outcome.COMPLETE or delivery.response is None or delivery.response.status != 200:
        return  # a limit cut it or answered itself
    assert delivery.body == trace.body
    made = iter(trace.chunks)
    produced, at = 0, 0.0
    for arrival in delivery.chunks:
        assert arrival.at >= at
        at = arrival.at
        while produced < sum(chunk.size for chunk in delivery.chunks[: delivery.chunks.index(arrival) + 1]):
            chunk = next(made)
            produced += chunk.size
            assert chunk.at <= arrival.at


def test_the_joining_twin_is_told_from_the_stream() -> None:
    """The replay itself can fail: the same bytes handed over at the end are one burst, not ten."""
    assert len(bursts(replay(tokens(), "passthrough").chunks)) == 10
    joined = stream([(5.0, b"x" * 160)], end=5.0)
    assert len(bursts(replay(joined, "passthrough").chunks)) == 1


@pytest.mark.parametrize(
    ("framing", "how", "via", "outcome"),
    [
        ("chunked", "fin", "passthrough", Outcome.APP_ERROR),
        ("close", "fin", "passthrough", Outcome.COMPLETE),
        ("close", "rst", "passthrough", Outcome.APP_ERROR),
        ("chunked", "fin", "nginx:proxy_http_version=1.1", Outcome.APP_ERROR),
        ("close", "fin", "nginx", Outcome.COMPLETE),
        ("close", "rst", "nginx", Outcome.APP_ERROR),
    ],
)
def test_a_broken_app_looks_to_the_reader_as_it_would(framing: str, how: str, via: str, outcome: Outcome) -> None:
    trace = stream([(0.0, b"abc"), (1.0, b"def")], outcome=Outcome.APP_ERROR, how=how, framing=framing, end=1.5)  # type: ignore[arg-type]
    assert replay(trace, via).outcome is outcome


def test_an_app_that_dies_before_the_head_is_answered_by_the_hop() -> None:
    trace = with_changes(stream([], outcome=Outcome.APP_ERROR, end=0.2), response=None)
    delivery = replay(trace, "nginx")
    assert delivery.response is not None
    assert delivery.response.status == 502


def test_a_silence_past_the_idle_limit_cuts_and_discards_what_nginx_withheld() -> None:
    trace = stream([(0.0, b"x" * 100), (70.0, b"y")], framing="close", end=70.0)
    delivery = replay(trace, "nginx")
    assert delivery.outcome is Outcome.CUT
    assert (delivery.end.at, delivery.end.by) == (60.0, "nginx")
    assert delivery.stats.bytes == 0
    assert delivery.response is not None
    assert delivery.response.status == 200


def test_a_late_head_is_answered_with_the_hops_own_status() -> None:
    delivery = replay(stream([(40.0, b"x")], head_at=40.0, end=41.0), "heroku")
    assert delivery.response is not None
    assert (delivery.response.status, delivery.response.at) == (503, 30.0)


def test_a_reader_who_left_gets_nothing_more() -> None:
    trace = stream([(0.0, b"x" * 100), (1.0, b"y")], framing="close", outcome=Outcome.CLIENT_GONE, end=1.5)
    delivery = replay(trace, "nginx")
    assert delivery.outcome is Outcome.CLIENT_GONE
    assert delivery.stats.bytes == 0


def test_head_requests_and_204_have_no_body() -> None:
    for trace in (
        with_changes(tokens(), request=Request("HEAD")),
        stream([], status=204, framing="length", end=0.1),
    ):
        for via in ("nginx", "gae-standard", "haproxy:http-no-delay=on"):
            delivery = replay(trace, via)
            assert delivery.outcome is Outcome.COMPLETE
            assert delivery.chunks == ()


def test_a_hop_that_compresses_needs_the_bytes() -> None:
    trace = stream([(0.0, 10), (1.0, 10)], request=Request(headers=(("Accept-Encoding", "gzip"),)))
    with pytest.raises(NeedsData) as caught:
        replay(trace, "nginx:gzip=on,gzip_types=text/plain")
    assert str(caught.value) == (
        "nginx:gzip=on,gzip_types=text/plain compresses this response, and the trace has only the sizes of its chunks. "
        "Expected data in every chunk. Was it recorded without keep_chunks=True?"
    )
    assert replay(trace, "nginx").stats.bytes == 20


def test_a_trace_without_chunks_cannot_be_replayed() -> None:
    full = tokens()
    thin = Trace(full.request, full.response, (), full.end, None, full.stats)
    with pytest.raises(TraceError, match="This trace keeps 0 of 10 chunks"):
        replay(thin, "passthrough")


def test_a_body_that_the_app_compressed_is_decoded_for_the_delivery() -> None:
    packed = zlib.compressobj(wbits=31)
    first = packed.compress(b"hello ") + packed.flush(zlib.Z_SYNC_FLUSH)
    second = packed.compress(b"world") + packed.flush()
    trace = stream([(0.0, first), (1.0, second)], headers=[("Content-Encoding", "gzip")])
    delivery = replay(trace, "passthrough")
    assert [chunk.data for chunk in delivery.chunks] == [b"hello ", b"world"]


def unframed(*headers: tuple[str, str]) -> Trace:
    """Ten tokens, framed as the server chooses for the hop that asks."""
    return stream([(index * 0.5, b"x" * 16) for index in range(10)], end=5.0, headers=headers, framing=None)


def test_each_hop_asks_the_one_before_it() -> None:
    """The outer hop speaks 1.0 to the inner one, which speaks 1.1 to the app: chunked there, blocks behind."""
    trace = unframed()
    inner_first = "nginx:proxy_http_version=1.1+nginx:proxy_http_version=1.0"
    assert resolve(inner_first).start(trace.request, 0.0).request.http_version == "1.1"
    assert len(bursts(replay(trace, inner_first).chunks)) == 1
    assert len(bursts(replay(trace, "nginx:proxy_http_version=1.1+nginx:proxy_http_version=1.1").chunks)) == 10


def test_the_first_nginx_eats_the_header_that_the_second_would_need() -> None:
    trace = unframed(("X-Accel-Buffering", "no"))
    assert len(bursts(replay(trace, "nginx").chunks)) == 10
    assert len(bursts(replay(trace, "nginx+nginx").chunks)) == 1


def test_replay_is_public() -> None:
    assert streamproof.replay is replay
