"""Fields that a hop strips, replaces and adds."""

from __future__ import annotations

from streamproof.sansio.machine import Head
from streamproof.sansio.stages.headers import HeaderRules

from ...support.stage_events import play


def test_header_rules_strip_replace_and_add() -> None:
    rules = HeaderRules(
        strip=("x-accel-*", "x-pad"),
        replace=(("Server", "hop"),),
        missing=(("Date", "today"), ("Server", "never")),
        add=(("Via", "1.1 hop"),),
        lower=True,
    )
    fields = (
        ("Server", "app"),
        ("X-Accel-Buffering", "no"),
        ("Connection", "keep-alive, X-Secret"),
        ("Keep-Alive", "5"),
        ("X-Secret", "1"),
        ("Server", "other"),
        ("Transfer-Encoding", "chunked"),
    )
    [(_, first)] = play(rules, [(0.0, Head(200, fields, "chunked", 1))])
    assert isinstance(first, Head)
    assert first.headers == (
        ("server", "hop"),
        ("transfer-encoding", "chunked"),
        ("date", "today"),
        ("via", "1.1 hop"),
    )
    own = Head(502, (("Server", "mine"),), "length", 1, own=True)
    assert play(rules, [(0.0, own)]) == [(0.0, own)]
