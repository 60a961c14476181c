"""A hop that collects the whole response."""

from __future__ import annotations

from streamproof.sansio.machine import Cut, End
from streamproof.sansio.stages.buffer_all import BufferAll
from streamproof.sansio.trace import Request

from ...support.stage_events import CHUNK20, LINE, Timed, head, headers, play, summary


def test_buffer_all_collects_and_names_the_length() -> None:
    out = play(BufferAll(), [(0.0, head()), *CHUNK20, (0.4, End(5))])
    assert summary(out) == [(0.4, 200), (0.4, b"".join(LINE[1:4])), (0.4, "end")]
    assert out[0][1].headers[1:] == (("Content-Length", "60"),)  # type: ignore[union-attr]
    broken: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, Cut("fin"))]
    assert summary(play(BufferAll(on_cut="complete"), broken))[-1] == (0.4, "end")
    assert summary(play(BufferAll(on_cut="status", status=503), broken))[0] == (0.4, 503)
    assert summary(play(BufferAll(), broken))[-1] == (0.4, "cut fin")
    assert summary(play(BufferAll(limit=30, limit_status=500), [(0.0, head()), *CHUNK20]))[0] == (0.2, 500)


def test_buffer_all_makes_head_wait_for_the_body_that_get_brings() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, End(5))]
    out = play(BufferAll(of_head=True), events, Request("HEAD"))
    assert out[0][0] == 0.4
    assert ("Content-Length", "60") in headers(out)
    unasked = play(BufferAll(of_head=True), [(0.0, head()), (0.4, End())], Request("HEAD"))
    assert headers(unasked) == (("Content-Type", "text/plain"),)
    assert play(BufferAll(), [(0.0, head())], Request("HEAD")) == [(0.0, head())]
