"""Compression in a hop: what is eligible, when it leaves, and which fields change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamproof.sansio.machine import Cut, Data, End, Head, framed
from streamproof.sansio.stages.compress import Compress
from streamproof.sansio.trace import Request

from ...support.stage_events import CHUNK20, GZIP, LINE, NOISE, TEXT, Timed, head, headers, play, readable, summary


def test_compress_flushed_lets_each_piece_go() -> None:
    out = play(Compress(flush="sync", head_first=True, vary=True), [(0.0, head()), *CHUNK20, (0.4, End(5))])
    first = out[0][1]
    assert isinstance(first, Head)
    assert first.headers == (
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "gzip"),
        ("Vary", "Accept-Encoding"),
    )
    assert [readable(out, at) for at in (0.0, 0.1, 0.2, 0.3)] == [b"", *(b"".join(LINE[1:n]) for n in (2, 3, 4))]


def test_compress_unflushed_gives_full_blocks_before_the_end() -> None:
    events: list[Timed] = [
        (0.0, head("close")),
        (0.1, Data(NOISE[:20_000])),
        (0.2, Data(NOISE[20_000:40_000])),
        (0.3, End()),
    ]
    out = play(Compress(level=1, block=4096), events)
    assert [(at, len(event.data)) for at, event in out if type(event) is Data][:2] == [(0.1, 16384), (0.2, 16384)]
    assert [len(readable(out, at)) for at in (0.1, 0.2, 0.3)] == [16369, 32748, 40_000]


@pytest.mark.parametrize(
    ("plan", "request_", "first"),
    [
        (Compress(types=("text/csv",)), GZIP, head()),
        (Compress(), Request(), head()),
        (Compress(), Request(headers=(("Accept-Encoding", "gzip;q=0"),)), head()),
        (Compress(since="1.1"), Request(http_version="1.0", headers=GZIP.headers), head()),
        (Compress(via="off"), Request(headers=(*GZIP.headers, ("Via", "1.1 x"))), head()),
        (Compress(statuses=(404,)), GZIP, head()),
        (Compress(framings=("length",)), GZIP, head()),
        (Compress(min_length=20), GZIP, head("length", length=19)),
        (Compress(no_transform=True), GZIP, head("chunked", 100, ("Cache-Control", "no-cache, no-transform"))),
        (Compress(), GZIP, head("chunked", 100, ("Content-Encoding", "br"))),
        (Compress(), Request("HEAD", headers=GZIP.headers), head()),
    ],
)
def test_compress_leaves_what_is_not_eligible(plan: Compress, request_: Request, first: Head) -> None:
    assert play(plan, [(0.0, first), (0.1, Data(b"x")), (0.2, End())], request_) == [
        (0.0, first),
        (0.1, Data(b"x")),
        (0.2, End()),
    ]


def test_compress_decides_on_the_first_piece() -> None:
    events: list[Timed] = [(0.0, head()), (0.1, framed(b"x" * 512, "chunked")), (0.2, End(5))]
    assert summary(play(Compress(min_first=513), events)) == [(0.1, 200), (0.1, b"x" * 512), (0.2, "end")]
    assert readable(play(Compress(min_first=512, flush="sync"), events), 0.1) == b"x" * 512


def test_compress_ends_the_coding_of_a_cut_response_where_the_length_is_gone() -> None:
    events: list[Timed] = [(0.0, head("length", length=99)), (0.1, Data(TEXT[:50])), (0.2, Cut("fin"))]
    out = play(Compress(on_cut="end"), events)
    assert summary(out)[-1] == (0.2, "end")
    assert readable(out, 0.2) == TEXT[:50]


def test_compress_takes_types_by_prefix_where_the_product_does() -> None:
    for types, prefixes, becomes in ((("TEXT/",), True, True), (("plain",), True, False), (("text/",), False, False)):
        out = play(Compress(types=types, prefixes=prefixes, head_first=True), [(0.0, head()), (0.1, End(5))])
        assert (("Content-Encoding", "gzip") in headers(out)) is becomes


def test_compress_counts_what_came_of_a_whole_response_that_broke_off() -> None:
    plan = Compress(add_length=True, min_length=50, on_cut="end")
    first = head("length", length=100)
    assert summary(play(plan, [(0.0, first), (0.0, Data(TEXT[:40])), (0.0, Cut())])) == [
        (0.0, 200), (0.0, TEXT[:40]), (0.0, "cut fin")
    ]  # fmt: skip
    out = play(plan, [(0.0, first), (0.0, Data(TEXT[:60])), (0.0, Cut())])
    assert readable(out, 0.0) == TEXT[:60] and isinstance(out[-1][1], End)
    assert ("Content-Length", str(sum(len(event.data) for _, event in out if isinstance(event, Data)))) in headers(out)


@pytest.mark.parametrize(
    ("etag", "strong", "weak"),
    [("weak", 'W/"a"', 'W/"a"'), ("suffix", '"a-gzip"', 'W/"a"'), ("suffix_all", '"a-gzip"', 'W/"a-gzip"')],
)
def test_compress_changes_the_etag_as_the_product_does(etag: str, strong: str, weak: str) -> None:
    for sent, becomes in (('"a"', strong), ('W/"a"', weak)):
        first = head("chunked", 100, ("ETag", sent))
        assert ("ETag", becomes) in headers(play(Compress(etag=etag, head_first=True), [(0.0, first), (0.1, End(5))]))


def test_compress_names_the_size_of_a_whole_response() -> None:
    out = play(Compress(add_length=True), [(0.0, head("length", length=50)), (0.0, Data(TEXT[:50])), (0.0, End())])
    assert ("Content-Length", str(len(out[1][1].data))) in headers(out)  # type: ignore[union-attr]
    assert readable(out, 0.0) == TEXT[:50]


@pytest.mark.parametrize(
    ("heads", "length", "marked"), [("all", None, 1), ("length", None, 0), ("length", 9, 1), ("", 9, 0)]
)
def test_compress_says_in_answer_to_head_what_get_would_get(heads: str, length: int | None, marked: int) -> None:
    request = Request("HEAD", headers=GZIP.headers)
    first = head("chunked" if length is None else "length", length=length)
    out = play(Compress(heads=heads, head_first=True), [(0.0, first), (0.0, End())], request)
    assert [name for name, _ in headers(out)].count("Content-Encoding") == marked


@pytest.mark.parametrize(
    ("plan", "marked"), [(Compress(), 1), (Compress(min_length=10), 0), (Compress(statuses=(404,)), 0)]
)
@pytest.mark.parametrize("any_", [False, True])
def test_compress_marks_what_another_reader_would_get_compressed(plan: Compress, marked: int, any_: bool) -> None:
    settings = replace(plan, vary_always=True, vary_any=any_)
    out = play(settings, [(0.0, head("length", length=9)), (0.0, End())], Request())
    assert [name for name, _ in headers(out)].count("Vary") == (1 if any_ else marked)
