"""A limit on the rate."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End
from streamproof.sansio.stages.throttle import Throttle

from ...support.stage_events import Timed, head, play, summary


def test_throttle_after_the_free_bytes() -> None:
    events: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 10)), (0.2, Data(b"y" * 25)), (0.3, End())]
    assert summary(play(Throttle(15, 100.0, 0.1), events)) == [
        (0.0, 200),
        (0.1, b"x" * 10),
        (0.2, b"y" * 5),
        (0.3, b"y" * 10),
        (0.4, b"y" * 10),
        (0.4, "end"),
    ]
