"""What becomes of a response that the hop before cut."""

from __future__ import annotations

import pytest

from streamproof.sansio.http import Framing
from streamproof.sansio.machine import Cut
from streamproof.sansio.stages.abort import Abort

from ...support.stage_events import head, play, summary


@pytest.mark.parametrize(
    ("plan", "framing", "how", "left"),
    [
        (Abort(), "chunked", "fin", "cut fin"),
        (Abort(), "chunked", "rst", "cut fin"),
        (Abort(chunked_rst="reset"), "chunked", "rst", "cut rst"),
        (Abort(chunked_fin="complete"), "chunked", "fin", "end"),
        (Abort(), "close", "fin", "end"),
        (Abort(close_rst="complete"), "close", "rst", "end"),
        (Abort(length_rst="malformed"), "length", "rst", "cut fin"),
    ],
)
def test_abort(plan: Abort, framing: Framing, how: str, left: str) -> None:
    out = summary(play(plan, [(0.0, head(framing)), (0.1, Cut("rst" if how == "rst" else "fin"))]))
    assert out == [(0.0, 200), (0.1, left)]


def test_abort_answers_before_the_head_and_lingers_after_it() -> None:
    assert summary(play(Abort(status=502), [(0.1, Cut("fin"))]))[0] == (0.1, 502)
    assert summary(play(Abort(status=0), [(0.1, Cut("fin"))])) == [(0.1, "cut fin")]
    lingering = Abort(linger=6.0, linger_after=("length_fin",))
    assert summary(play(lingering, [(0.0, head("length", length=9)), (0.1, Cut("fin"))]))[-1] == (6.1, "cut fin")
    assert summary(play(lingering, [(0.0, head("length", length=9)), (0.1, Cut("rst"))]))[-1] == (0.1, "cut fin")
    own = Cut("fin", "hop", "idle limit", own=True)
    assert play(Abort(chunked_fin="complete"), [(0.0, head()), (0.1, own)])[-1] == (0.1, own)
