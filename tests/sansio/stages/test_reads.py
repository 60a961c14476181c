"""A hop that reads in pieces of one buffer."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End
from streamproof.sansio.stages.reads import Reads

from ...support.stage_events import Timed, head, play, summary


def test_reads_are_of_one_buffer_with_the_head_in_the_first() -> None:
    together: list[Timed] = [(0.0, head("close", 100)), (0.0, Data(b"x" * 300)), (0.1, Data(b"y" * 200)), (0.2, End())]
    sizes = [len(event) for _, event in summary(play(Reads(128), together)) if isinstance(event, bytes)]
    assert sizes == [28, 128, 128, 16, 128, 72]
