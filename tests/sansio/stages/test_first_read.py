"""What came with the head waits for the next read."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End, framed
from streamproof.sansio.stages.first_read import FirstRead

from ...support.stage_events import Timed, head, play, summary


def test_first_read_waits_only_for_what_came_with_the_head() -> None:
    together: list[Timed] = [(0.0, head("close")), (0.0001, Data(b"a" * 9)), (0.1, Data(b"b")), (0.2, End())]
    assert summary(play(FirstRead(), together)) == [(0.0, 200), (0.1, b"a" * 9), (0.1, b"b"), (0.2, "end")]
    apart: list[Timed] = [(0.0, head("close")), (0.01, Data(b"a" * 9)), (0.1, Data(b"b")), (0.2, End())]
    assert play(FirstRead(), apart) == apart
    chunked: list[Timed] = [(0.0, head()), (0.0, framed(b"a", "chunked")), (0.2, End(5))]
    assert play(FirstRead(), chunked) == chunked
