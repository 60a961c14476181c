"""What waits for the acknowledgment of the write before it."""

from __future__ import annotations

import pytest

from streamproof.sansio.machine import Data, End
from streamproof.sansio.stages.nagle import Nagle

from ...support.stage_events import TEXT, head, play


def test_nagle_waits_once_for_the_ack_of_a_write_as_long_as_the_one_before() -> None:
    """The first write is the longest, the second may be quick, the third looks like one of a sender that has more."""
    writes = [(index / 40, Data(TEXT[:16384])) for index in range(6)]
    out = play(Nagle(0.04), [(0.0, head("close", 40)), *writes, (0.2, End())])
    at = [when for when, event in out if type(event) is Data]
    assert at == [0.0, 0.025, 0.05, pytest.approx(0.09), 0.1, 0.125]


@pytest.mark.parametrize("sizes", [[20] * 8, [1024] * 8, [16384, 9000, 16000, 9000, 16000], [8192, 16384, 20000]])
@pytest.mark.parametrize("every", [0.0, 0.025, 0.3])
def test_nagle_holds_no_token_no_burst_and_nothing_after_a_silence(sizes: list[int], every: float) -> None:
    writes = [(index * every, Data(TEXT[:size])) for index, size in enumerate(sizes)]
    out = play(Nagle(), [(0.0, head("close", 40)), *writes, (3.0, End())])
    assert [when for when, event in out if type(event) is Data] == [at for at, _ in writes]


def test_nagle_lets_what_waits_for_an_ack_go_at_the_end() -> None:
    writes = [(index / 40, Data(TEXT[:16384])) for index in range(4)]
    out = play(Nagle(1.0), [(0.0, head("close", 40)), *writes, (0.1, End())])
    assert [(when, type(event)) for when, event in out[-2:]] == [(0.1, Data), (0.1, End)]
