"""The framing that a hop chooses for its reader."""

from __future__ import annotations

import pytest

from streamproof.sansio.http import Framing, Headers
from streamproof.sansio.machine import Cut, Data, End, Head, framed
from streamproof.sansio.stages.reframe import Reframe
from streamproof.sansio.trace import Request

from ...support.stage_events import head, play, summary


@pytest.mark.parametrize(
    ("framing", "version", "plan", "becomes", "fields"),
    [
        ("close", "1.1", Reframe(), "chunked", (("Transfer-Encoding", "chunked"),)),
        ("close", "1.1", Reframe(keep_close=True), "close", (("Connection", "close"),)),
        ("chunked", "1.0", Reframe(connection="keep-alive"), "close", (("Connection", "close"),)),
        ("chunked", "1.0", Reframe(connection10=""), "close", ()),
        ("chunked", "2", Reframe(connection="keep-alive"), "chunked", ()),
        ("close", "1.1", Reframe(chunked_statuses=(404,)), "close", (("Connection", "close"),)),
        (
            "chunked",
            "1.1",
            Reframe(closes=(200,)),
            "chunked",
            (("Transfer-Encoding", "chunked"), ("Connection", "close")),
        ),
    ],
)
def test_reframe(framing: Framing, version: str, plan: Reframe, becomes: str, fields: Headers) -> None:
    out = play(plan, [(0.0, head(framing)), (0.1, Data(b"x" * 20)), (0.2, End())], Request(http_version=version))
    first, data = out[0][1], out[1][1]
    assert isinstance(first, Head)
    assert (first.framing, first.headers[1:]) == (becomes, fields)
    assert data == (framed(b"x" * 20, "chunked") if becomes == "chunked" and version == "1.1" else Data(b"x" * 20))


def test_reframe_sends_no_body_where_there_can_be_none() -> None:
    out = play(Reframe(coding_on_head=True), [(0.0, head()), (0.0, Data(b"page")), (0.0, End())], Request("HEAD"))
    assert summary(out) == [(0.0, 200), (0.0, "end")]
    assert out[0][1].headers[1:] == (("Transfer-Encoding", "chunked"),)  # type: ignore[union-attr]


def test_reframe_ends_with_the_head_where_the_hop_asked_get_for_it() -> None:
    out = play(Reframe(), [(0.0, head()), (0.1, framed(b"x", "chunked")), (0.2, Cut("rst"))], Request("HEAD"))
    assert summary(out) == [(0.0, 200), (0.2, "end")]
