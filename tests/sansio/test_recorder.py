"""One recording, every number: against a model that keeps everything."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof.sansio.recorder import Phase, Recorder
from streamproof.sansio.stats import GAP_BOUNDS, Stats
from streamproof.sansio.trace import Outcome, Request

steps = st.lists(
    st.tuples(st.floats(0, 100), st.integers(0, 5000), st.floats(0, 10)),
    max_size=40,
)

START = 1000.0


def timeline(drawn: list[tuple[float, int, float]]) -> list[tuple[float, int, float]]:
    """(produced, size, accepted) on a clock that started at START."""
    now, out = START, []
    for silence, size, wait in drawn:
        at = now + silence
        now = at + wait
        out.append((at, size, now))
    return out


def model(chunks: list[tuple[float, int, float]], end: float) -> Stats:
    """The statistics, computed the slow way from every chunk."""
    full = [(at - START, size, taken - START) for at, size, taken in chunks if size]
    if not full:
        return Stats(empty_chunks=len(chunks))
    gaps = [0] * (len(GAP_BOUNDS) + 1)
    for before, after in zip(full, full[1:], strict=False):
        gaps[bisect_left(GAP_BOUNDS, after[0] - before[0])] += 1
    silences = [(after[0] - before[2], before[2]) for before, after in zip(full, full[1:], strict=False)]
    silences.append((end - START - full[-1][2], full[-1][2]))
    longest = max(silences, key=lambda pair: pair[0])
    waits = [taken - at for at, _, taken in full]
    return Stats(
        first_byte=full[0][0],
        last_byte=full[-1][0],
        chunks=len(full),
        empty_chunks=len(chunks) - len(full),
        bytes=sum(size for _, size, _ in full),
        longest_silence=max(longest[0], 0.0),
        longest_silence_at=longest[1] if longest[0] > 0 else None,
        backpressure=sum(waits),
        longest_backpressure=max(waits),
        longest_gap=max((b[0] - a[0] for a, b in zip(full, full[1:], strict=False)), default=0.0),
        gaps=tuple(gaps),
    )


@given(steps, st.floats(0, 50))
def test_the_stats_are_those_of_the_model(drawn: list[tuple[float, int, float]], tail: float) -> None:
    chunks = timeline(drawn)
    end = (chunks[-1][2] if chunks else START) + tail
    recorder = Recorder(Request(), START)
    for at, size, taken in chunks:
        recorder.chunk(at, size, taken)
    assert recorder.ended(Outcome.COMPLETE, end).stats == model(chunks, end)


@given(steps)
def test_kept_chunks_measure_the_same(drawn: list[tuple[float, int, float]]) -> None:
    chunks = timeline(drawn)
    end = (chunks[-1][2] if chunks else START) + 1.0
    thin, full = Recorder(Request(), START), Recorder(Request(), START, keep_chunks=True)
    for at, size, taken in chunks:
        thin.chunk(at, size, taken)
        full.chunk(at, size, taken, bytes(size))
    kept = full.ended(Outcome.COMPLETE, end)
    assert kept.whole
    assert kept.has_data
    assert kept.stats.to_dict() | {"empty_chunks": 0} == thin.ended(Outcome.COMPLETE, end).stats.to_dict() | {
        "empty_chunks": 0
    }


def test_a_number_keeps_the_first_chunks_and_the_stats_of_all() -> None:
    recorder = Recorder(Request(), 0.0, keep_chunks=2)
    for index in range(5):
        recorder.chunk(float(index), 10, float(index), b"x" * 10)
    trace = recorder.ended(Outcome.COMPLETE, 5.0)
    assert [chunk.at for chunk in trace.chunks] == [0.0, 1.0]
    assert not trace.whole
    assert trace.stats.bytes == 50


def test_overlapping_sends_are_put_in_the_order_of_production() -> None:
    recorder = Recorder(Request(), 0.0, keep_chunks=True)
    recorder.chunk(1.0, 1, 1.5, b"b")
    recorder.chunk(0.5, 1, 2.0, b"a")
    assert recorder.ended(Outcome.COMPLETE, 3.0).body == b"ab"


def test_the_head_may_be_proposed_again_until_a_byte_committed_it() -> None:
    recorder = Recorder(Request(), 0.0)
    recorder.proposed(200, (("A", "1"),), 1.0)
    recorder.proposed(500, (), 2.0)
    assert recorder.phase is Phase.PROPOSED
    recorder.chunk(3.0, 1, 3.0)
    recorder.proposed(404, (), 4.0)
    trace = recorder.ended(Outcome.COMPLETE, 5.0)
    assert trace.response is not None
    assert (trace.response.status, trace.response.at) == (500, 2.0)


def test_a_chunk_that_nobody_took_has_no_backpressure() -> None:
    recorder = Recorder(Request(), 0.0)
    recorder.chunk(1.0, 5, None)
    assert recorder.ended(Outcome.CLIENT_GONE, 9.0).stats.backpressure == 0.0


def test_a_recording_ends_once() -> None:
    recorder = Recorder(Request(), 0.0)
    recorder.ended(Outcome.COMPLETE, 1.0)
    with pytest.raises(RuntimeError, match="This recording has already ended"):
        recorder.ended(Outcome.COMPLETE, 2.0)


def test_the_stats_of_an_open_stream_have_its_silence_so_far() -> None:
    recorder = Recorder(Request(), 0.0)
    recorder.chunk(1.0, 10, 1.0)
    assert recorder.stats(8.5).longest_silence == 7.5
    assert recorder.stats(9.5).longest_silence == 8.5


def test_memory_does_not_grow_with_the_stream() -> None:
    recorder = Recorder(Request(), 0.0)

    def feed(count: int) -> int:
        for index in range(count):
            recorder.chunk(float(index), 512, float(index))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        feed(100)
        early = feed(1000)
        late = feed(100_000)
    finally:
        tracemalloc.stop()
    assert late - early < 1024
