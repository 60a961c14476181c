"""A hop that sends the head with the first bytes."""

from __future__ import annotations

from streamproof.sansio.machine import End
from streamproof.sansio.stages.head_hold import HeadHold

from ...support.stage_events import CHUNK20, LINE, head, play, summary


def test_head_hold_waits_for_the_body() -> None:
    assert summary(play(HeadHold(), [(0.0, head()), *CHUNK20[:1], (0.4, End(5))])) == [
        (0.1, 200),
        (0.1, LINE[1]),
        (0.4, "end"),
    ]
    assert summary(play(HeadHold(), [(0.0, head()), (0.4, End(5))])) == [(0.4, 200), (0.4, "end")]
