"""A policy at work on one stream, in virtual time: no byte lost, reordered, early or late, whatever the schedule."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof import ConfigurationError
from streamproof.adapters.codings import coders
from streamproof.sansio.flush import FlushPolicy
from streamproof.sansio.flush.policy import FlushMachine
from streamproof.sansio.framing import EVENTS, Scanner
from streamproof.sansio.machine import Cut, Data, End, Event, Head
from streamproof.sansio.trace import Request
from tests.support.live_support import need

EVENT_STREAM = (("Content-Type", "text/event-stream"),)
HEAD = Head(200, EVENT_STREAM, "chunked", 60)


@dataclass
class Run:
    """Everything that left a machine, and when."""

    left: list[tuple[float, Event]] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[float, bytes]]:
        return [(at, bytes(event.data)) for at, event in self.left if isinstance(event, Data) and event.data]

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.writes)

    @property
    def head(self) -> dict[str, str]:
        return dict(next(event for _, event in self.left if isinstance(event, Head)).headers)

    @property
    def last(self) -> Event:
        return self.left[-1][1]


def run(
    policy: FlushPolicy,
    schedule: Sequence[tuple[float, bytes]],
    *,
    head: Head = HEAD,
    end: Event = End(),  # noqa: B008
    end_at: float | None = None,
    request: Request | None = None,
) -> Run:
    """Drive a machine through a schedule of absolute times."""
    machine = policy.start(request or Request(), 0.0, coders(policy.compress))
    seen = Run()
    now = 0.0

    def go(until: float) -> None:
        nonlocal now
        while (deadline := machine.deadline) is not None and deadline <= until:
            assert deadline >= now
            now = deadline
            seen.left += [(now, event) for event in machine.wake(now)]
            assert machine.deadline is None or machine.deadline > now
        now = until

    seen.left += [(0.0, event) for event in machine.receive(head, 0.0)]
    for at, data in schedule:
        go(at)
        seen.left += [(at, event) for event in machine.receive(Data(data), at)]
    last = end_at if end_at is not None else schedule[-1][0] if schedule else 0.0
    go(last)
    seen.left += [(last, event) for event in machine.receive(end, last)]
    assert machine.deadline is None
    assert not machine.receive(Data(b"late"), last)
    return seen


EVENT_PIECES = st.sampled_from(
    [b"data: a\n\n", b"data: ", b"x\n", b"\n", b"data: bb\r\n\r\n", b"\r", b"data: c\n\ndata: d\n\nda", b"y" * 300]
)
SCHEDULES = st.lists(st.tuples(st.integers(0, 40), EVENT_PIECES), min_size=1, max_size=30).map(
    lambda steps: [(sum(gap for gap, _ in steps[: i + 1]) / 100, data) for i, (_, data) in enumerate(steps)]
)


@st.composite
def policies(draw: st.DrawFn) -> FlushPolicy:
    delay = draw(st.sampled_from([0.0, 0.05, 0.2]))
    beat = draw(st.sampled_from([None, 0.1, 0.3]))
    return FlushPolicy(
        max_delay=delay,
        min_size=draw(st.sampled_from([0, 20, 200])) if delay else 0,
        max_size=draw(st.sampled_from([0, 7, 64])),
        align_to_boundaries=draw(st.booleans()),
        heartbeat=beat,
        heartbeat_size=draw(st.sampled_from([0, 40])) if beat else 0,
        before_first_byte=bool(beat) and draw(st.booleans()),
        head_first=draw(st.booleans()),
        on_error=draw(st.sampled_from(["cut", "event"])),
    )


def beats(run: Run, policy: FlushPolicy) -> list[bytes]:
    assert EVENTS.beat is not None
    return [EVENTS.beat(policy.heartbeat_size, serial) for serial in range(1, len(run.writes) + 1)]


def without_beats(run: Run, policy: FlushPolicy) -> list[tuple[float, bytes, int]]:
    """The app's own bytes: when they left, which, and how many bytes of heartbeats left before."""
    own, following = [], beats(run, policy)
    for at, data in run.writes:
        if policy.heartbeat and following and data == following[0]:
            following.pop(0)
        else:
            own.append((at, data, 0))
    return own


@given(policies(), SCHEDULES)
def test_no_byte_is_lost_reordered_early_or_held_past_the_delay(
    policy: FlushPolicy, schedule: list[tuple[float, bytes]]
) -> None:
    left = without_beats(run(policy, schedule), policy)
    assert b"".join(data for _, data, _ in left) == b"".join(data for _, data in schedule)
    produced = [at for at, data in schedule for _ in data]
    departed = [at for at, data, _ in left for _ in data]
    for made, gone in zip(produced, departed, strict=True):
        assert made <= gone <= made + policy.max_delay + 1e-6


@given(policies(), SCHEDULES)
def test_heartbeats_come_only_at_boundaries_and_only_in_a_silence(
    policy: FlushPolicy, schedule: list[tuple[float, bytes]]
) -> None:
    seen = run(policy, schedule)
    scanner, following, last = Scanner("event"), beats(seen, policy), 0.0
    started = policy.before_first_byte
    for at, data in seen.writes:
        if policy.heartbeat and following and data == following[0]:
            following.pop(0)
            assert started
            assert scanner.at_boundary
            assert at == pytest.approx(last + policy.heartbeat)
        scanner.see(data)
        started, last = True, at


@given(policies(), SCHEDULES)
def test_no_write_is_larger_than_asked(policy: FlushPolicy, schedule: list[tuple[float, bytes]]) -> None:
    for _, data, _ in without_beats(run(policy, schedule), policy):
        assert not policy.max_size or len(data) <= policy.max_size


@given(policies(), SCHEDULES, st.sampled_from(["gzip", "br", "zstd"]))
def test_what_leaves_compressed_can_be_read_at_once_and_is_the_same(
    policy: FlushPolicy, schedule: list[tuple[float, bytes]], coding: str
) -> None:
    from dataclasses import replace

    need(*{"br": ["brotli"], "zstd": ["zstandard"]}.get(coding, []))
    request = Request(headers=(("Accept-Encoding", coding),))
    seen = run(replace(policy, compress=(coding,)), schedule, request=request)
    assert seen.head["Content-Encoding"] == coding
    plain = run(replace(policy, heartbeat_size=2 * policy.heartbeat_size), schedule)
    decode = decoder(coding)
    # Every write can be decoded on its own: nothing of it is inside the compressor any more.
    decoded = [(at, text) for at, data in seen.writes if (text := decode(data))]
    assert decoded == plain.writes


def decoder(coding: str) -> Any:
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        import brotli  # type: ignore[import-untyped, unused-ignore]

        return brotli.Decompressor().process
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress


def test_a_compressor_that_does_not_flush_fails_the_same_test() -> None:
    """The joining counterpart: zlib without a flush gives nothing until the end."""

    class Joining:
        def __init__(self) -> None:
            self._deflate = zlib.compressobj(wbits=31)

        def encode(self, data: bytes) -> bytes:
            return self._deflate.compress(data)

        def finish(self) -> bytes:
            return self._deflate.flush()

    policy = FlushPolicy(compress=("gzip",))
    machine = policy.start(Request(headers=(("Accept-Encoding", "gzip"),)), 0.0, {"gzip": Joining})
    machine.receive(HEAD, 0.0)
    decode = zlib.decompressobj(31).decompress
    left = b"".join(
        bytes(event.data) for event in machine.receive(Data(b"data: a\n\n"), 0.0) if isinstance(event, Data)
    )
    assert decode(left) == b""


def test_a_chunk_after_a_pause_leaves_at_once_and_those_close_behind_together() -> None:
    policy = FlushPolicy(max_delay=0.1)
    writes = run(policy, [(0.0, b"a"), (0.02, b"b"), (0.05, b"c"), (0.5, b"d")], end_at=2.0).writes
    assert [data for _, data in writes] == [b"a", b"bc", b"d"]
    assert [at for at, _ in writes] == pytest.approx([0.0, 0.1, 0.5])


def test_enough_bytes_do_not_wait_for_the_delay() -> None:
    writes = run(FlushPolicy(max_delay=1.0, min_size=4), [(0.0, b"a"), (0.1, b"bb"), (0.2, b"cc")]).writes
    assert writes == [(0.0, b"a"), (0.2, b"bbcc")]


def test_huge_chunks_are_split_at_events() -> None:
    body = b"data: one\n\ndata: two\n\ndata: three\n\n"
    writes = run(FlushPolicy(max_size=25, align_to_boundaries=True), [(0.0, body)]).writes
    assert [data for _, data in writes] == [b"data: one\n\ndata: two\n\n", b"data: three\n\n"]


def test_a_heartbeat_waits_for_the_end_of_the_event() -> None:
    policy = FlushPolicy(heartbeat=1.0)
    seen = run(policy, [(0.0, b"data: a\n\n"), (2.5, b"data: ha"), (5.0, b"lf\n\n")], end_at=6.5)
    assert seen.writes == [
        (0.0, b"data: a\n\n"),
        (1.0, b":\n\n"),
        (2.0, b":\n\n"),
        (2.5, b"data: ha"),
        (5.0, b"lf\n\n"),
        (6.0, b":\n\n"),
    ]


def test_the_end_of_a_line_is_read_after_the_heartbeat_before_it() -> None:
    seen = run(FlushPolicy(heartbeat=1.0), [(0.0, b"\r\r"), (1.5, b"\r"), (4.0, b"\n")], end_at=4.5)
    assert seen.writes == [(0.0, b"\r\r"), (1.0, b":\n\n"), (1.5, b"\r"), (4.0, b"\n")]


def test_no_heartbeat_before_the_first_byte_unless_asked() -> None:
    policy = FlushPolicy(heartbeat=1.0)
    assert run(policy, [(3.0, b"data: a\n\n")]).writes == [(3.0, b"data: a\n\n")]
    asked = FlushPolicy(heartbeat=1.0, before_first_byte=True)
    assert [at for at, _ in run(asked, [(2.5, b"data: a\n\n")]).writes] == [1.0, 2.0, 2.5]


@pytest.mark.parametrize(
    "headers",
    [
        (("Content-Type", "application/json"),),
        (("Content-Type", "text/csv"),),
        (("Content-Type", "application/x-ndjson"),),
        (("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")),
        (("Content-Type", "text/event-stream"), ("Content-Length", "9")),
    ],
)
def test_no_heartbeat_where_the_framing_does_not_allow_it(headers: tuple[tuple[str, str], ...]) -> None:
    head = Head(200, headers, "chunked", 60)
    seen = run(FlushPolicy(heartbeat=1.0), [(0.0, b"data: a\n\n")], head=head, end_at=9.0)
    assert seen.body == b"data: a\n\n"


def test_blank_lines_keep_json_lines_alive_where_they_are_allowed() -> None:
    head = Head(200, (("Content-Type", "application/x-ndjson"),), "chunked", 60)
    seen = run(FlushPolicy(heartbeat=1.0, blank_lines=True), [(0.0, b"{}\n")], head=head, end_at=2.5)
    assert seen.writes == [(0.0, b"{}\n"), (1.0, b"\n"), (2.0, b"\n")]


def test_an_app_that_fails_tells_it_in_the_stream_at_a_boundary() -> None:
    policy = FlushPolicy(on_error="event", error_text="Gone.")
    seen = run(policy, [(0.0, b"data: a\n\n")], end=Cut("fin", "app", "ValueError"))
    assert seen.body == b'data: a\n\nevent: error\ndata: {"error": "Gone."}\n\n'
    assert seen.last == End()


@pytest.mark.parametrize(
    ("policy", "chunk"), [(FlushPolicy(on_error="event"), b"data: ha"), (FlushPolicy(), b"data: a\n\n")]
)
def test_otherwise_its_end_stays_unclean(policy: FlushPolicy, chunk: bytes) -> None:
    seen = run(policy, [(0.0, chunk)], end=Cut("fin", "app", "ValueError"))
    assert seen.body == chunk
    assert isinstance(seen.last, Cut)


def test_a_cut_by_a_hop_is_not_the_apps_error() -> None:
    seen = run(FlushPolicy(on_error="event"), [(0.0, b"data: a\n\n")], end=Cut("fin", "nginx"))
    assert seen.body == b"data: a\n\n"


@given(policies())
def test_a_machine_that_is_never_fed_wants_nothing(policy: FlushPolicy) -> None:
    machine: FlushMachine = policy.start(Request(), 0.0)
    assert machine.deadline is None
    assert machine.held == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_size": 10},
        {"min_size": "10", "max_delay": 1.0},
        {"max_delay": -1.0},
        {"heartbeat": 0},
        {"heartbeat_size": 10},
        {"before_first_byte": True},
        {"compress": ("deflate",)},
        {"compress": "gzip"},
        {"on_error": "hide"},
        {"on_disconnect": "kill"},
        {"on_hold": "shout"},
        {"always_stream": ("events",)},
        {"never_stream": (7,)},
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be used\. Expected .+[.?]$"):
        FlushPolicy(**wrong)


@pytest.mark.parametrize("name", ["for_sse", "for_tokens", "for_csv", "for_progress"])
def test_a_preset_takes_options_on_top(name: str) -> None:
    policy: FlushPolicy = getattr(FlushPolicy, name)(max_size=5)
    assert policy.max_size == 5
