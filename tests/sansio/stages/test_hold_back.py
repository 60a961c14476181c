"""A hop that is one piece behind."""

from __future__ import annotations

from streamproof.sansio.machine import End
from streamproof.sansio.stages.hold_back import HoldBack

from ...support.stage_events import CHUNK20, LINE, head, play, summary


def test_hold_back_is_one_piece_behind() -> None:
    assert summary(play(HoldBack(), [(0.0, head()), *CHUNK20, (0.4, End(5))])) == [
        (0.0, 200),
        (0.2, LINE[1]),
        (0.3, LINE[2]),
        (0.4, LINE[3]),
        (0.4, "end"),
    ]
