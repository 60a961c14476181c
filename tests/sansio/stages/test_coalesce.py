"""A hop that waits for a full segment or a delay."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End, framed
from streamproof.sansio.stages.coalesce import Coalesce

from ...support.stage_events import CHUNK20, LINE, Timed, head, play, summary


def test_coalesce_waits_for_a_segment_or_the_delay() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, framed(b"y" * 200, "chunked")), (0.5, End(5))]
    assert summary(play(Coalesce(212, 0.2, options=12), events)) == [
        (0.2, 200),
        (0.2, LINE[1]),
        (0.4, LINE[2]),
        (0.4, LINE[3]),
        (0.4, b"y" * 200),
        (0.5, "end"),
    ]


def test_coalesce_grows_with_the_window() -> None:
    events: list[Timed] = [
        (0.0, head("close", 0)),
        *((step / 10, Data(b"z" * 100)) for step in range(1, 7)),
        (0.7, End()),
    ]
    sizes = [
        (at, len(event))
        for at, event in summary(play(Coalesce(100, 9.0, grows=(200, 300)), events))
        if event != "end" and isinstance(event, bytes)
    ]
    assert sizes == [(0.1, 100), (0.3, 100), (0.3, 100), (0.6, 100), (0.6, 100), (0.6, 100)]
