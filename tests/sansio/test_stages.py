"""Every stage keeps the machine's promises on any schedule, and each does exactly what it says on a literal one."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof.sansio.http import LAST_CHUNK_SIZE, Framing, Headers
from streamproof.sansio.machine import Cut, Data, End, Event, Events, Head, Stage, StageSettings, framed
from streamproof.sansio.page import Page
from streamproof.sansio.stages import STAGES
from streamproof.sansio.stages.abort import Abort
from streamproof.sansio.stages.blocks import Blocks
from streamproof.sansio.stages.buffer_all import BufferAll
from streamproof.sansio.stages.coalesce import Coalesce
from streamproof.sansio.stages.compress import Compress
from streamproof.sansio.stages.first_read import FirstRead
from streamproof.sansio.stages.go_writer import GoWriter
from streamproof.sansio.stages.head_hold import HeadHold
from streamproof.sansio.stages.headers import HeaderRules
from streamproof.sansio.stages.hold_back import HoldBack
from streamproof.sansio.stages.inflate import Inflate
from streamproof.sansio.stages.limits import Limits
from streamproof.sansio.stages.nagle import Nagle
from streamproof.sansio.stages.reads import Reads
from streamproof.sansio.stages.reframe import Reframe
from streamproof.sansio.stages.size_limit import SizeLimit
from streamproof.sansio.stages.slz import Slz
from streamproof.sansio.stages.throttle import Throttle
from streamproof.sansio.stages.tls_records import TlsRecords
from streamproof.sansio.trace import Request

GZIP = Request(headers=(("Accept-Encoding", "gzip"),))
Timed = tuple[float, Event]
TEXT = b"".join(b"%06d,sensor,%03d\n" % (row, row * 7919 % 1000) for row in range(20000))
NOISE = random.Random(7).randbytes(200_000)


def head(framing: Framing = "chunked", size: int = 100, *more: tuple[str, str], length: int | None = None) -> Head:
    fields: Headers = (("Content-Type", "text/plain"), *more)
    if length is not None:
        fields = (*fields, ("Content-Length", str(length)))
    return Head(200, fields, framing, size)


def play(plan: StageSettings, events: Sequence[Timed], request: Request = GZIP) -> list[Timed]:
    """What leaves, and when; the machine is woken at each deadline, as a driver does."""
    machine, out = plan.start(request, 0.0), list[Timed]()

    def note(now: float, left: Events) -> None:
        out.extend((now, event) for event in left)

    def drain(until: float) -> None:
        while (due := machine.deadline) is not None and due <= until:
            note(due, machine.wake(due))
            assert machine.deadline is None or machine.deadline > due

    for at, event in events:
        drain(at)
        note(at, machine.receive(event, at))
    drain(math.inf)
    return out


def told(out: Sequence[Timed]) -> list[tuple[float, object]]:
    """A played schedule in short: heads by status, bytes as bytes, ends by name."""
    names: dict[type, Callable[..., object]] = {
        Head: lambda event: event.status,
        Data: lambda event: bytes(event.data),
        End: lambda event: "end",
        Cut: lambda event: f"cut {event.how}",
    }
    return [(round(at, 6), names[type(event)](event)) for at, event in out]


# --- promises on any schedule


@dataclass(frozen=True)
class Case:
    """One random upstream: the events, and the bytes that they carry."""

    events: tuple[Timed, ...]
    body: bytes
    complete: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    framing: Framing = draw(st.sampled_from(("chunked", "close", "length")))
    sizes = draw(st.lists(st.integers(1, 40_000) | st.integers(1, 60), max_size=7))
    gaps = draw(st.lists(st.sampled_from((0.0, 0.0001, 0.03, 0.3, 2.0)), min_size=len(sizes), max_size=len(sizes)))
    source = draw(st.sampled_from((TEXT, NOISE)))
    how = draw(st.sampled_from(("end", "end", "fin", "rst")))
    body = source[: min(sum(sizes), len(source))]
    promised = None if framing != "length" else len(body) + (0 if how == "end" else 1)
    at = draw(st.sampled_from((0.0, 0.5)))
    events: list[Timed] = [(at, head(framing, draw(st.sampled_from((60, 117, 3000))), length=promised))]
    position = 0
    for gap, size in zip(gaps, sizes, strict=True):
        at += gap
        piece = body[position : position + size]
        position += len(piece)
        if piece:
            events.append((at, framed(piece, framing)))
    last: Event = Cut("fin" if how == "fin" else "rst") if how != "end" else End()
    if how == "end" and framing == "chunked":
        last = End(LAST_CHUNK_SIZE)
    events.append((at + draw(st.sampled_from((0.0, 0.1))), last))
    return Case(tuple(events), body, how == "end")


#: Several settings of every stage, with the body bytes that each may hold after an event (None: as many as come).
VARIANTS: list[tuple[StageSettings, int | None]] = [
    (Abort(), 0),
    (Abort(chunked_fin="complete", chunked_rst="malformed", close_rst="complete", length_rst="reset"), 0),
    (Abort(linger=1.0, linger_after=("length_fin",)), 0),
    (Blocks(4096, 4096, 3, 4), 4096),
    (Blocks(8192), 8192),
    (Blocks(4096, 4096, 3, 4, busy=8192), 4096),
    (Blocks(4096, 8192, 3, 4), 8192),
    (Blocks(16384, 16384, 5, 7, on_reset="deliver"), 16384),
    (Coalesce(1448, 0.2), 1448),
    (Coalesce(32741, 0.2, grows=(47104, 65483)), 65483),
    (Compress(flush="sync", head_first=True), 0),
    (Compress(level=1, block=4096, shrink=True), None),
    (Compress(level=1, block=4096, on_cut="flush"), None),
    (Compress(flush="sync", head_first=True, opens=True), 0),
    (Nagle(), None),
    (Reads(4096), 0),
    (Compress(input_block=65535, lag=120, min_first=513, min_length=512), None),
    (Compress(segment=16384, head_first=True), None),
    (Compress(engine="slz", read=15296, head_first=True), None),
    (FirstRead(), 16384),
    (GoWriter(), 2048 + 4096),
    (GoWriter(latency=0.1), 2048 + 4096),
    (HeadHold(), 0),
    (HeaderRules(add=(("Via", "1.1 x"),), lower=True), 0),
    (HoldBack(), 40_000),
    (Inflate(), 0),
    (Limits(), 0),
    (Limits(first_byte=0.2, idle=1.0, total=3.0), 0),
    (Limits(idle=0.1, after="end"), 0),
    (Limits(total=0.2, status=0), 0),
    (Reframe(connection="keep-alive"), 0),
    (SizeLimit(50_000), 0),
    (SizeLimit(50_000, only_length=True), 0),
    (Throttle(10_000, 40_000.0), None),
    (TlsRecords(), 16384),
    (BufferAll(), None),
    (BufferAll(on_cut="complete", add_length=False), None),
    (BufferAll(on_cut="status", limit=50_000), 50_000),
]


def name_of(settings: StageSettings) -> str:
    return type(settings).__name__


def test_every_stage_is_among_the_variants() -> None:
    assert {type(variant) for variant, _ in VARIANTS} == set(STAGES.values())


def readable(out: Sequence[Timed], until: float) -> bytes:
    """The body that a reader has understood by then."""
    first = next((event for _, event in out if type(event) is Head), None)
    data = b"".join(bytes(event.data) for at, event in out if type(event) is Data and at <= until)
    if first is not None and ("Content-Encoding", "gzip") in first.headers:
        return zlib.decompressobj(31).decompress(data)
    return data


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: name_of(variant[0]))
@settings(max_examples=40, deadline=None)
@given(case=cases(), request=st.sampled_from((GZIP, Request(), Request(http_version="1.0"), Request(http_version="2"))))
def test_nothing_is_lost_added_reordered_or_early(
    variant: tuple[StageSettings, int | None], case: Case, request: Request
) -> None:
    plan, _ = variant
    out = play(plan, case.events, request)
    kinds = [type(event) for _, event in out]
    assert kinds.count(Head) <= 1
    assert Head not in kinds[1:]
    assert [kind for kind in kinds if kind in (End, Cut)] == kinds[-1:]
    if any(type(event) is Head and event.own for _, event in out):
        return  # the hop's own page
    assert case.body.startswith(readable(out, math.inf))
    for at, event in out:
        if type(event) is Data:
            came = sum(len(sent.data) for when, sent in case.events if type(sent) is Data and when <= at)
            assert len(readable(out, at)) <= came
    if kinds[-1] is End and case.complete and not (isinstance(plan, Limits) and plan.after == "end"):
        assert readable(out, math.inf) == case.body


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: name_of(variant[0]))
@settings(max_examples=15, deadline=None)
@given(case=cases())
def test_a_stage_holds_no_more_than_its_bound(variant: tuple[StageSettings, int | None], case: Case) -> None:
    plan, bound = variant
    machine, inside = plan.start(GZIP, 0.0), 0
    for at, event in case.events:
        left = list[Event]()
        while machine.deadline is not None and machine.deadline <= at:
            left += machine.wake(machine.deadline)
        left += machine.receive(event, at)
        if bound is None:
            continue
        assert machine.held <= bound
        if not isinstance(plan, Compress | Limits | SizeLimit | BufferAll):
            inside += len(event.data) if type(event) is Data else 0
            inside -= sum(len(gone.data) for gone in left if type(gone) is Data)
            assert machine.held == inside or type(event) in (End, Cut)
    assert machine.held == 0 or isinstance(plan, Throttle)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: name_of(variant[0]))
@settings(max_examples=15, deadline=None)
@given(case=cases(), cut=st.integers(1, 1000))
def test_cutting_the_input_differently_changes_no_byte(
    variant: tuple[StageSettings, int | None], case: Case, cut: int
) -> None:
    plan, _ = variant
    split = list[Timed]()
    for at, event in case.events:
        if type(event) is Data and len(event.data) > cut:
            data, lead, tail, rest = event
            split.append((at, Data(data[:cut], lead, 0, len(data) - cut + rest)))
            split.append((at, Data(data[cut:], 0, tail, rest)))
        else:
            split.append((at, event))
    one, other = play(plan, case.events), play(plan, split)
    assert type(one[-1][1]) is type(other[-1][1])
    if type(one[-1][1]) is End:
        assert readable(one, math.inf) == readable(other, math.inf)


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.sampled_from((TEXT, NOISE)).flatmap(lambda b: st.integers(1, 9000).map(lambda n: b[:n]))))
def test_libslz_writes_gzip(pieces: list[bytes]) -> None:
    packer = Slz(4096)
    packed = b"".join(packer.feed(piece) for piece in pieces) + packer.finish()
    assert zlib.decompress(packed, 31) == b"".join(pieces)


# --- each stage on a literal schedule

CHUNK20: list[Timed] = [(step / 10, framed(b"%019d\n" % step, "chunked")) for step in range(1, 4)]
LINE = [b"%019d\n" % step for step in range(5)]


def test_blocks_hold_a_close_delimited_stream_to_full_buffers() -> None:
    events: list[Timed] = [(0.0, head("close")), *((step / 10, Data(b"x" * 30)) for step in range(1, 8)), (0.9, End())]
    assert told(play(Blocks(128, 128, 3, 4), events)) == [
        (0.1, 200),
        (0.1, b"x" * 28),
        (0.6, b"x" * 128),
        (0.9, b"x" * 54),
        (0.9, "end"),
    ]


def test_blocks_let_a_complete_chunk_go_at_once() -> None:
    assert told(play(Blocks(4096, 4096, 3, 4), [(0.0, head()), *CHUNK20, (0.4, End(5))])) == [
        (0.1, 200),
        (0.1, LINE[1]),
        (0.2, LINE[2]),
        (0.3, LINE[3]),
        (0.4, "end"),
    ]


def test_blocks_are_one_behind_where_the_size_line_comes_first() -> None:
    events: list[Timed] = [(0.0, head())]
    for step in range(1, 4):
        events += [(step / 10, Data(b"", 4, 0, 20)), (step / 10 + 0.01, Data(LINE[step], 0, 2))]
    events.append((0.4, End(5)))
    assert told(play(Blocks(4096, 4096, 3, 4), events)) == [
        (0.1, 200),
        (0.2, LINE[1]),
        (0.3, LINE[2]),
        (0.4, LINE[3]),
        (0.4, "end"),
    ]
    assert [at for at, event in told(play(Blocks(4096, 4096, 5, 7), events)) if isinstance(event, bytes)] == [
        0.11,
        0.21,
        0.31,
    ]


def test_blocks_hold_the_tail_of_a_chunk_until_the_next_one_begins() -> None:
    events: list[Timed] = [
        (0.0, head()),
        (0.1, framed(b"a" * 140, "chunked")),
        (0.2, framed(b"b", "chunked")),
        (0.3, End(5)),
    ]
    assert told(play(Blocks(128, 128, 3, 4), events)) == [
        (0.1, 200),
        (0.1, b"a" * 24),
        (0.2, b"a" * 116 + b"b"),
        (0.3, "end"),
    ]


def test_blocks_lose_the_partly_filled_buffer_on_a_reset() -> None:
    events: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 50)), (0.2, Cut("rst"))]
    assert told(play(Blocks(128, 128), events)) == [(0.1, 200), (0.1, b"x" * 28), (0.2, "cut rst")]
    assert told(play(Blocks(128, 128, on_reset="deliver"), events))[2:] == [(0.2, b"x" * 22), (0.2, "cut rst")]


def test_blocks_leave_two_by_two_and_all_nine_before_the_next_read() -> None:
    """nginx reads until its nine buffers are full, writes them two by two, and begins again."""
    head_of_100 = head("close", 100)
    out = told(play(Blocks(128, 128, 3, 4, busy=256), [(0.0, head_of_100), (0.1, Data(b"x" * 1500)), (0.2, End())]))
    sizes = [len(event) for at, event in out if at == 0.1 and isinstance(event, bytes)]
    assert sizes == [28 + 128, 256, 256, 256, 128, 256, 128]


def test_the_larger_first_buffer_comes_back_and_is_filled_again_before_the_others() -> None:
    events: list[Timed] = [(0.0, head("close", 100)), (0.1, Data(b"x" * 156)), (0.2, Data(b"y" * 255)), (0.3, End())]
    assert told(play(Blocks(128, 256), events))[1:] == [(0.1, b"x" * 156), (0.3, b"y" * 255), (0.3, "end")]
    large: list[Timed] = [(0.0, head("close", 100)), (0.1, Data(b"x" * (156 + 8 * 128 + 256))), (0.2, End())]
    sizes = [len(event) for _, event in told(play(Blocks(128, 256), large)) if isinstance(event, bytes)]
    assert sizes == [156 + 2 * 128, 512, 128 + 128, 256]


def test_a_buffer_that_ends_inside_a_chunk_size_takes_its_digits_for_the_size() -> None:
    events: list[Timed] = [
        (0.0, head("chunked", 100)),
        (0.1, framed(b"a" * 148, "chunked")),  # two bytes less than two buffers: its end waits
        (0.2, Data(b"b" * 30, 6, 0, 4096 - 30)),  # '10' of '1000 CRLF' is in that buffer: 16 B are expected
    ]
    assert told(play(Blocks(128, 128, 3, 4), events))[1:] == [(0.1, b"a" * 24), (0.2, b"a" * 124 + b"b" * 30)]


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


def test_the_end_lets_what_waits_for_an_ack_go() -> None:
    writes = [(index / 40, Data(TEXT[:16384])) for index in range(4)]
    out = play(Nagle(1.0), [(0.0, head("close", 40)), *writes, (0.1, End())])
    assert [(when, type(event)) for when, event in out[-2:]] == [(0.1, Data), (0.1, End)]


def test_reads_are_of_one_buffer_with_the_head_in_the_first() -> None:
    joined: list[Timed] = [(0.0, head("close", 100)), (0.0, Data(b"x" * 300)), (0.1, Data(b"y" * 200)), (0.2, End())]
    sizes = [len(event) for _, event in told(play(Reads(128), joined)) if isinstance(event, bytes)]
    assert sizes == [28, 128, 128, 16, 128, 72]


def test_blocks_refuse_a_head_that_does_not_fit() -> None:
    out = play(Blocks(64, 64), [(0.0, head("close", 100)), (0.1, Data(b"x")), (0.2, End())])
    assert told(out) == [(0.0, 502), (0.0, b"502 Bad Gateway\n"), (0.0, "end")]


def test_coalesce_waits_for_a_segment_or_the_delay() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, framed(b"y" * 200, "chunked")), (0.5, End(5))]
    assert told(play(Coalesce(212, 0.2, options=12), events)) == [
        (0.2, 200),
        (0.2, LINE[1]),
        (0.4, LINE[2]),
        (0.4, LINE[3]),
        (0.4, b"y" * 200),
        (0.5, "end"),
    ]


def test_coalesce_grows_with_the_window() -> None:
    events: list[Timed] = [
        (0.0, head("close", 0)),
        *((step / 10, Data(b"z" * 100)) for step in range(1, 7)),
        (0.7, End()),
    ]
    sizes = [
        (at, len(event))
        for at, event in told(play(Coalesce(100, 9.0, grows=(200, 300)), events))
        if event != "end" and isinstance(event, bytes)
    ]
    assert sizes == [(0.1, 100), (0.3, 100), (0.3, 100), (0.6, 100), (0.6, 100), (0.6, 100)]


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
    assert told(play(Compress(min_first=513), events)) == [(0.1, 200), (0.1, b"x" * 512), (0.2, "end")]
    assert readable(play(Compress(min_first=512, flush="sync"), events), 0.1) == b"x" * 512


def headers(out: Sequence[Timed]) -> Headers:
    first = out[0][1]
    assert isinstance(first, Head)
    return first.headers


def test_compress_ends_the_coding_of_a_cut_response_where_the_length_is_gone() -> None:
    events: list[Timed] = [(0.0, head("length", length=99)), (0.1, Data(TEXT[:50])), (0.2, Cut("fin"))]
    out = play(Compress(on_cut="end"), events)
    assert told(out)[-1] == (0.2, "end")
    assert readable(out, 0.2) == TEXT[:50]


def test_compress_takes_types_by_prefix_where_the_product_does() -> None:
    for types, prefixes, becomes in ((("TEXT/",), True, True), (("plain",), True, False), (("text/",), False, False)):
        out = play(Compress(types=types, prefixes=prefixes, head_first=True), [(0.0, head()), (0.1, End(5))])
        assert (("Content-Encoding", "gzip") in headers(out)) is becomes


def test_compress_counts_what_came_of_a_whole_response_that_broke_off() -> None:
    plan = Compress(add_length=True, min_length=50, on_cut="end")
    first = head("length", length=100)
    assert told(play(plan, [(0.0, first), (0.0, Data(TEXT[:40])), (0.0, Cut())])) == [
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
    assert told(out) == [(0.5, 200), (0.5, TEXT[:100]), (0.6, "end")]
    assert out[0][1].headers == (("Content-Type", "text/plain"),)  # type: ignore[union-attr]
    assert play(Inflate(), events, GZIP) == events


def test_first_read_waits_only_for_what_came_with_the_head() -> None:
    joined: list[Timed] = [(0.0, head("close")), (0.0001, Data(b"a" * 9)), (0.1, Data(b"b")), (0.2, End())]
    assert told(play(FirstRead(), joined)) == [(0.0, 200), (0.1, b"a" * 9), (0.1, b"b"), (0.2, "end")]
    apart: list[Timed] = [(0.0, head("close")), (0.01, Data(b"a" * 9)), (0.1, Data(b"b")), (0.2, End())]
    assert play(FirstRead(), apart) == apart
    chunked: list[Timed] = [(0.0, head()), (0.0, framed(b"a", "chunked")), (0.2, End(5))]
    assert play(FirstRead(), chunked) == chunked


def test_go_writer_keeps_what_fits_into_its_two_buffers() -> None:
    pieces = [(step / 10, Data(b"x" * 1024)) for step in range(1, 9)]
    events: list[Timed] = [(0.0, head("length", 136, length=8192)), *pieces, (0.8, End())]
    assert told(play(GoWriter(), events)) == [
        (0.5, 200),
        (0.5, b"x" * 2048),
        (0.5, b"x" * 1912),
        (0.8, b"x" * 136),
        (0.8, b"x" * 2048),
        (0.8, b"x" * 1912),
        (0.8, b"x" * 136),
        (0.8, "end"),
    ]


def test_go_writer_counts_what_ended_before_it_left() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, End(5))]
    out = play(GoWriter(counts=True), events)
    assert ("Content-Length", "60") in headers(out)
    assert told(out) == [(0.4, 200), (0.4, b"".join(LINE[1:4])), (0.4, "end")]
    assert ("Content-Length", "60") not in headers(play(GoWriter(), events))


def test_go_writer_passes_large_writes_and_flushes_after_its_latency() -> None:
    events: list[Timed] = [
        (0.0, head("length", 100, length=9000)),
        (0.1, Data(b"a" * 5000)),
        (0.2, Data(b"b" * 4000)),
        (0.9, End()),
    ]
    assert told(play(GoWriter(), events))[:2] == [(0.1, 200), (0.1, b"a" * 3996)]
    small: list[Timed] = [
        (0.0, head("length", 100, length=40)),
        *((at, Data(LINE[0])) for at in (0.1, 0.15)),
        (0.9, End()),
    ]
    assert told(play(GoWriter(latency=0.3), small)) == [(0.3, 200), (0.3, LINE[0] * 2), (0.9, "end")]
    # The first interval begins with the head, the later ones with a byte.
    assert told(play(GoWriter(latency=0.04), small)) == [
        (0.04, 200), (pytest.approx(0.14), LINE[0]), (pytest.approx(0.19), LINE[0]), (0.9, "end")
    ]  # fmt: skip
    broken: list[Timed] = [*small[:-1], (0.3, Cut("fin"))]
    assert told(play(GoWriter(on_cut="discard"), broken)) == [(0.3, 200), (0.3, "cut fin")]


def test_head_hold_waits_for_the_body() -> None:
    assert told(play(HeadHold(), [(0.0, head()), *CHUNK20[:1], (0.4, End(5))])) == [
        (0.1, 200),
        (0.1, LINE[1]),
        (0.4, "end"),
    ]
    assert told(play(HeadHold(), [(0.0, head()), (0.4, End(5))])) == [(0.4, 200), (0.4, "end")]


def test_hold_back_is_one_piece_behind() -> None:
    assert told(play(HoldBack(), [(0.0, head()), *CHUNK20, (0.4, End(5))])) == [
        (0.0, 200),
        (0.2, LINE[1]),
        (0.3, LINE[2]),
        (0.4, LINE[3]),
        (0.4, "end"),
    ]


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
    assert told(out) == [(0.0, 200), (0.0, "end")]
    assert out[0][1].headers[1:] == (("Transfer-Encoding", "chunked"),)  # type: ignore[union-attr]


PAGE = Page(504, 30, (("Server", "hop"),))


def test_reframe_ends_with_the_head_where_the_hop_asked_get_for_it() -> None:
    out = play(Reframe(), [(0.0, head()), (0.1, framed(b"x", "chunked")), (0.2, Cut("rst"))], Request("HEAD"))
    assert told(out) == [(0.0, 200), (0.2, "end")]


def test_limits_answer_before_the_head_and_cut_after_it() -> None:
    late: list[Timed] = [(0.9, head()), (1.0, End(5))]
    out = play(Limits(first_byte=0.5, pages=(PAGE,)), late)
    assert told(out) == [(0.5, 504), (0.5, b"504 Gateway Timeout\n".ljust(30)), (0.5, "end")]
    assert out[0][1].headers == (("Server", "hop"), ("Content-Length", "30"))  # type: ignore[union-attr]
    silent: list[Timed] = [(0.0, head()), *CHUNK20, (9.0, End(5))]
    [*_, (at, last)] = play(Limits(idle=2.0, name="hop", pending="discard"), silent)
    assert last == Cut("fin", "hop", "idle limit 2 s", own=True, discard=True)
    assert at == pytest.approx(2.3)
    assert told(play(Limits(idle=2.0, after="end"), silent))[-1] == (2.3, "end")
    assert told(play(Limits(total=0.15, status=0), silent)) == [(0.0, 200), (0.1, LINE[1]), (0.15, "cut fin")]
    assert told(play(Limits(total=0.5, status=0), late)) == [(0.5, "cut fin")]


def test_size_limit_refuses_a_known_length_and_cuts_an_unknown_one() -> None:
    known: list[Timed] = [(0.0, head("length", length=11)), (0.1, Data(b"x" * 11)), (0.1, End())]
    assert told(play(SizeLimit(10), known)) == [(0.0, 500), (0.0, b"500 Internal Server Error\n"), (0.0, "end")]
    unknown: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 9)), (0.2, Data(b"yy")), (0.3, End())]
    assert told(play(SizeLimit(10), unknown)) == [(0.0, 200), (0.1, b"x" * 9), (0.2, "cut fin")]
    assert play(SizeLimit(10, only_length=True), unknown) == unknown


def test_throttle_after_the_free_bytes() -> None:
    events: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 10)), (0.2, Data(b"y" * 25)), (0.3, End())]
    assert told(play(Throttle(15, 100.0, 0.1), events)) == [
        (0.0, 200),
        (0.1, b"x" * 10),
        (0.2, b"y" * 5),
        (0.3, b"y" * 10),
        (0.4, b"y" * 10),
        (0.4, "end"),
    ]


def test_tls_records_fill_before_they_leave() -> None:
    events: list[Timed] = [
        (0.0, head("close", 60)),
        *((step / 10, Data(b"x" * 30)) for step in range(1, 4)),
        (0.4, End()),
    ]
    assert told(play(TlsRecords(100), events)) == [
        (0.2, 200),
        (0.2, b"x" * 30),
        (0.2, b"x" * 10),
        (0.4, b"x" * 20),
        (0.4, b"x" * 30),
        (0.4, "end"),
    ]


def test_whole_collects_and_names_the_length() -> None:
    out = play(BufferAll(), [(0.0, head()), *CHUNK20, (0.4, End(5))])
    assert told(out) == [(0.4, 200), (0.4, b"".join(LINE[1:4])), (0.4, "end")]
    assert out[0][1].headers[1:] == (("Content-Length", "60"),)  # type: ignore[union-attr]
    broken: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, Cut("fin"))]
    assert told(play(BufferAll(on_cut="complete"), broken))[-1] == (0.4, "end")
    assert told(play(BufferAll(on_cut="status", status=503), broken))[0] == (0.4, 503)
    assert told(play(BufferAll(), broken))[-1] == (0.4, "cut fin")
    assert told(play(BufferAll(limit=30, limit_status=500), [(0.0, head()), *CHUNK20]))[0] == (0.2, 500)


def test_whole_makes_head_wait_for_the_body_that_get_brings() -> None:
    events: list[Timed] = [(0.0, head()), *CHUNK20, (0.4, End(5))]
    out = play(BufferAll(of_head=True), events, Request("HEAD"))
    assert out[0][0] == 0.4
    assert ("Content-Length", "60") in headers(out)
    unasked = play(BufferAll(of_head=True), [(0.0, head()), (0.4, End())], Request("HEAD"))
    assert headers(unasked) == (("Content-Type", "text/plain"),)
    assert play(BufferAll(), [(0.0, head())], Request("HEAD")) == [(0.0, head())]


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
    out = told(play(plan, [(0.0, head(framing)), (0.1, Cut("rst" if how == "rst" else "fin"))]))
    assert out == [(0.0, 200), (0.1, left)]


def test_abort_answers_before_the_head_and_lingers_after_it() -> None:
    assert told(play(Abort(status=502), [(0.1, Cut("fin"))]))[0] == (0.1, 502)
    assert told(play(Abort(status=0), [(0.1, Cut("fin"))])) == [(0.1, "cut fin")]
    lingering = Abort(linger=6.0, linger_after=("length_fin",))
    assert told(play(lingering, [(0.0, head("length", length=9)), (0.1, Cut("fin"))]))[-1] == (6.1, "cut fin")
    assert told(play(lingering, [(0.0, head("length", length=9)), (0.1, Cut("rst"))]))[-1] == (0.1, "cut fin")
    own = Cut("fin", "hop", "idle limit", own=True)
    assert play(Abort(chunked_fin="complete"), [(0.0, head()), (0.1, own)])[-1] == (0.1, own)


def test_a_stage_is_quiet_by_default() -> None:
    stage = Stage()
    assert stage.receive(End(), 0.0) == (End(),)
    assert list(stage.wake(0.0)) == []
    assert stage.held == 0
