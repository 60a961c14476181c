"""Time limits: a page before the head, a cut after it."""

from __future__ import annotations

import pytest

from streamproof.sansio.machine import Cut, End
from streamproof.sansio.page import Page
from streamproof.sansio.stages.limits import Limits

from ...support.stage_events import CHUNK20, LINE, Timed, head, play, summary

PAGE = Page(504, 30, (("Server", "hop"),))


def test_limits_answer_before_the_head_and_cut_after_it() -> None:
    late: list[Timed] = [(0.9, head()), (1.0, End(5))]
    out = play(Limits(first_byte=0.5, pages=(PAGE,)), late)
    assert summary(out) == [(0.5, 504), (0.5, b"504 Gateway Timeout\n".ljust(30)), (0.5, "end")]
    assert out[0][1].headers == (("Server", "hop"), ("Content-Length", "30"))  # type: ignore[union-attr]
    silent: list[Timed] = [(0.0, head()), *CHUNK20, (9.0, End(5))]
    [*_, (at, last)] = play(Limits(idle=2.0, name="hop", pending="discard"), silent)
    assert last == Cut("fin", "hop", "idle limit 2 s", own=True, discard=True)
    assert at == pytest.approx(2.3)
    assert summary(play(Limits(idle=2.0, after="end"), silent))[-1] == (2.3, "end")
    assert summary(play(Limits(total=0.15, status=0), silent)) == [(0.0, 200), (0.1, LINE[1]), (0.15, "cut fin")]
    assert summary(play(Limits(total=0.5, status=0), late)) == [(0.5, "cut fin")]
