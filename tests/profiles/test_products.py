"""What other products are known for: when they send the head, and what they compress."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamproof import replay
from streamproof.profiles import resolve
from streamproof.sansio.machine import Data, Head, framed
from streamproof.sansio.trace import Outcome, Request

from ..support.profile_traces import TEXT, arrivals, fields_of, trace


@pytest.mark.parametrize(
    ("via", "chunks"),
    [("apache", [8192, 8192, 3616]), ("haproxy:http-no-delay=on", [16320 - 6, 20000 - (16320 - 6)])],
)
def test_a_large_chunk_is_passed_on_read_by_read(via: str, chunks: list[int]) -> None:
    """The next hop sees one chunk a read: of Apache's the body bytes count, of HAProxy's those on the wire."""
    chain = resolve(via).start(Request(), 0.0)
    chain.receive(Head(200, (("Transfer-Encoding", "chunked"),), "chunked", 100), 0.0)
    out = chain.receive(framed(TEXT[:20000], "chunked"), 0.1)
    assert [len(event.data) for event in out if isinstance(event, Data)] == chunks


@pytest.mark.parametrize("via", ["traefik", "go-reverseproxy:FlushInterval=100ms"])
def test_go_sends_the_head_after_one_interval_though_no_byte_came(via: str) -> None:
    sent = trace((0.45, b"a"), (0.5, b"b"), headers=(("Content-Type", "text/plain"), ("Content-Length", "4")), end=0.9)
    got = replay(sent, via)
    assert got.response is not None and got.response.at == pytest.approx(0.1)
    assert arrivals(got) == [(0.55, b"ab")]


def test_traefik_compress_is_not_for_head_nor_for_readers_without_gzip_nor_short_bodies() -> None:
    plain = (("Content-Type", "text/plain"), ("ETag", '"a"'))
    gzip = (("Accept-Encoding", "gzip"),)
    for method, asks, length, coding, vary in (
        ("GET", gzip, None, "gzip", "Accept-Encoding"),
        ("GET", gzip, 1024, "gzip", "Accept-Encoding"),
        ("GET", gzip, 1023, None, "Accept-Encoding"),
        ("GET", (), None, None, None),
        ("HEAD", gzip, 1024, None, None),
    ):
        headers = plain if length is None else (*plain, ("Content-Length", str(length)))
        pieces = [(0.3, TEXT[: length or 2000])] if method == "GET" else []
        got = replay(trace(*pieces, headers=headers, request=Request(method, headers=asks)), "traefik:compress=on")
        answered = fields_of(got)
        assert (answered.get("content-encoding"), answered.get("vary"), answered["etag"]) == (coding, vary, '"a"')
        assert got.response is not None
        assert (got.response.at >= 0.3) is (method == "GET" and asks == gzip), (method, asks)


@pytest.mark.parametrize(
    ("version", "etag", "obeys"),
    [
        ("2.6.2", '"a"', False),
        ("2.6.3", '"a"', True),
        ("2.7.6", '"a"', True),
        ("2.8.0", '"a-gzip"', True),
        ("2.9.0", '"a-gzip"', True),
    ],
)
def test_caddy_encode_by_release(version: str, etag: str, obeys: bool) -> None:
    plain = (("Content-Type", "text/plain"), ("ETag", '"a"'))
    via = f"caddy:encode=gzip,version={version}"
    assert fields_of(replay(trace((0.1, TEXT[:2000]), headers=plain), via))["etag"] == etag
    asked = replay(trace((0.1, TEXT[:2000]), headers=(*plain, ("Cache-Control", "no-transform"))), via)
    assert ("content-encoding" not in fields_of(asked)) is obeys


def test_lighttpd_deflate_makes_a_broken_length_look_complete() -> None:
    """It counts what it has and names the size that this becomes; what is too short for it stays broken."""
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "9000"))
    for size, outcome in ((4000, Outcome.COMPLETE), (256, Outcome.APP_ERROR)):
        sent = trace((0.1, TEXT[:size]), headers=headers, outcome=Outcome.APP_ERROR)
        got = replay(sent, "lighttpd:deflate=text/ application/json")
        assert (got.body, got.outcome) == (TEXT[:size], outcome)


@pytest.mark.parametrize(
    ("kind", "agent", "coding"),
    [
        ("text/plain; charset=utf-8", "curl/8", "gzip"),
        ("application/json", "curl/8", None),
        ("multipart/mixed", "curl/8", None),
        ("text/plain", "Mozilla/4.0 (compatible; MSIE 5.5)", None),
    ],
)
def test_haproxy_compresses_types_by_their_beginning(kind: str, agent: str, coding: str | None) -> None:
    request = Request(headers=(("Accept-Encoding", "gzip"), ("User-Agent", agent)))
    sent = trace((0.1, TEXT[:2000]), headers=(("Content-Type", kind),), request=request)
    assert (
        fields_of(replay(sent, "haproxy:compression-algo=gzip,compression-type=text/ multi")).get("content-encoding")
        == coding
    )


@pytest.mark.parametrize(("options", "coding"), [("", "gzip"), (",pass=on", "gzip")])
def test_varnish_packs_no_partial_answer(options: str, coding: str) -> None:
    sent = trace((0.1, TEXT[:2000]), headers=(("Content-Type", "text/plain"),))
    assert sent.response is not None
    partial = replace(sent, response=sent.response._replace(status=206))
    assert fields_of(replay(sent, f"varnish:do_gzip=true{options}"))["content-encoding"] == coding
    assert "content-encoding" not in fields_of(replay(partial, f"varnish:do_gzip=true{options}"))
