"""Every stage keeps the machine's promises on any schedule: each byte once, in order, never early, within its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof.sansio.http import LAST_CHUNK_SIZE, Framing
from streamproof.sansio.machine import Cut, Data, End, Event, Head, Stage, StageSettings, framed
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
from streamproof.sansio.stages.throttle import Throttle
from streamproof.sansio.stages.tls_records import TlsRecords
from streamproof.sansio.trace import Request

from ...support.stage_events import GZIP, NOISE, TEXT, Timed, head, play, readable


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


def test_a_stage_is_quiet_by_default() -> None:
    stage = Stage()
    assert stage.receive(End(), 0.0) == (End(),)
    assert list(stage.wake(0.0)) == []
    assert stage.held == 0
