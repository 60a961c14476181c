"""Go's two buffers and the flush interval."""

from __future__ import annotations

import pytest

from streamproof.sansio.machine import Cut, Data, End
from streamproof.sansio.stages.go_writer import GoWriter

from ...support.stage_events import CHUNK20, LINE, Timed, head, headers, play, summary


def test_go_writer_keeps_what_fits_into_its_two_buffers() -> None:
    pieces = [(step / 10, Data(b"x" * 1024)) for step in range(1, 9)]
    events: list[Timed] = [(0.0, head("length", 136, length=8192)), *pieces, (0.8, End())]
    assert summary(play(GoWriter(), events)) == [
        (0.5, 200),
        (0.5, b"x" * 2048),
        (0.5, b"x" * 1912),
        (0.8, b"x" * 136),
        (0.8, b"x" * 2048),
        (0.8, b"x" * 1912),
        (0.8, b"x" * 136),
        (0.8, "end"),
    ]


def test_go_writer_counts_what_ended_before_it_left() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, End(5))]
    out = play(GoWriter(counts=True), events)
    assert ("Content-Length", "60") in headers(out)
    assert summary(out) == [(0.4, 200), (0.4, b"".join(LINE[1:4])), (0.4, "end")]
    assert ("Content-Length", "60") not in headers(play(GoWriter(), events))


def test_go_writer_passes_large_writes_and_flushes_after_its_latency() -> None:
    events: list[Timed] = [
        (0.0, head("length", 100, length=9000)),
        (0.1, Data(b"a" * 5000)),
        (0.2, Data(b"b" * 4000)),
        (0.9, End()),
    ]
    assert summary(play(GoWriter(), events))[:2] == [(0.1, 200), (0.1, b"a" * 3996)]
    small: list[Timed] = [
        (0.0, head("length", 100, length=40)),
        *((at, Data(LINE[0])) for at in (0.1, 0.15)),
        (0.9, End()),
    ]
    assert summary(play(GoWriter(latency=0.3), small)) == [(0.3, 200), (0.3, LINE[0] * 2), (0.9, "end")]
    # The first interval begins with the head, the later ones with a byte.
    assert summary(play(GoWriter(latency=0.04), small)) == [
        (0.04, 200), (pytest.approx(0.14), LINE[0]), (pytest.approx(0.19), LINE[0]), (0.9, "end")
    ]  # fmt: skip
    broken: list[Timed] = [*small[:-1], (0.3, Cut("fin"))]
    assert summary(play(GoWriter(on_cut="discard"), broken)) == [(0.3, 200), (0.3, "cut fin")]
