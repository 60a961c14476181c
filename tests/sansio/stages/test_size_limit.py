"""A limit on the body's size."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End
from streamproof.sansio.stages.size_limit import SizeLimit

from ...support.stage_events import Timed, head, play, summary


def test_size_limit_refuses_a_known_length_and_cuts_an_unknown_one() -> None:
    known: list[Timed] = [(0.0, head("length", length=11)), (0.1, Data(b"x" * 11)), (0.1, End())]
    assert summary(play(SizeLimit(10), known)) == [(0.0, 500), (0.0, b"500 Internal Server Error\n"), (0.0, "end")]
    unknown: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 9)), (0.2, Data(b"yy")), (0.3, End())]
    assert summary(play(SizeLimit(10), unknown)) == [(0.0, 200), (0.1, b"x" * 9), (0.2, "cut fin")]
    assert play(SizeLimit(10, only_length=True), unknown) == unknown
