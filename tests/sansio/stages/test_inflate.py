"""A hop that decodes for readers without gzip."""

from __future__ import annotations

import zlib

from streamproof.sansio.machine import Data, End, Head
from streamproof.sansio.stages.inflate import Inflate
from streamproof.sansio.trace import Request

from ...support.stage_events import GZIP, NOISE, TEXT, Timed, head, headers, play, summary


def test_inflate_lets_full_buffers_go_and_counts_what_is_all_there() -> None:
    packed = zlib.compress(NOISE[:1000], 6, 31)
    coded = ("Content-Encoding", "gzip")
    events: list[Timed] = [(0.0, head("chunked", 100, coded)), (0.1, Data(packed[:700])), (0.2, Data(packed[700:]))]
    out = play(Inflate(256), [*events, (0.3, End())], Request())
    assert {at for at, event in out if type(event) is Data and len(event.data) < 256} == {0.2}
    assert b"".join(bytes(event.data) for _, event in out if type(event) is Data) == NOISE[:1000]
    sized: list[Timed] = [(0.0, head("length", 100, coded, length=len(packed))), (0.0, Data(packed)), (0.0, End())]
    assert ("Content-Length", "1000") in headers(play(Inflate(256), sized, Request()))
    bare = play(Inflate(), events[:1], Request("HEAD"))
    assert [type(event) for _, event in bare] == [Head]


def test_inflate_makes_a_reader_without_gzip_wait_as_long() -> None:
    packed = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = packed.compress(TEXT[:100]) + packed.flush()
    events: list[Timed] = [(0.0, head("chunked", 100, ("Content-Encoding", "gzip"))), (0.5, Data(data)), (0.6, End())]
    out = play(Inflate(), events, Request())
    assert summary(out) == [(0.5, 200), (0.5, TEXT[:100]), (0.6, "end")]
    assert out[0][1].headers == (("Content-Type", "text/plain"),)  # type: ignore[union-attr]
    assert play(Inflate(), events, GZIP) == events


def test_inflate_cuts_a_body_that_is_not_what_its_head_says() -> None:
    events: list[Timed] = [(0.0, head("chunked", 100, ("Content-Encoding", "gzip"))), (0.1, Data(b"not gzip"))]
    out = play(Inflate(), [*events, (0.2, Data(b"more")), (0.3, End(5))], Request())
    assert summary(out) == [(0.1, "cut fin")]
