"""nginx's buffers: what fills them, what leaves them, and when."""

from __future__ import annotations

from streamproof.sansio.machine import Cut, Data, End, framed
from streamproof.sansio.stages.blocks import Blocks

from ...support.stage_events import CHUNK20, LINE, Timed, head, play, summary


def test_blocks_hold_a_close_delimited_stream_to_full_buffers() -> None:
    events: list[Timed] = [(0.0, head("close")), *((step / 10, Data(b"x" * 30)) for step in range(1, 8)), (0.9, End())]
    assert summary(play(Blocks(128, 128, 3, 4), events)) == [
        (0.1, 200),
        (0.1, b"x" * 28),
        (0.6, b"x" * 128),
        (0.9, b"x" * 54),
        (0.9, "end"),
    ]


def test_blocks_let_a_complete_chunk_go_at_once() -> None:
    assert summary(play(Blocks(4096, 4096, 3, 4), [(0.0, head()), *CHUNK20, (0.4, End(5))])) == [
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
    assert summary(play(Blocks(4096, 4096, 3, 4), events)) == [
        (0.1, 200),
        (0.2, LINE[1]),
        (0.3, LINE[2]),
        (0.4, LINE[3]),
        (0.4, "end"),
    ]
    assert [at for at, event in summary(play(Blocks(4096, 4096, 5, 7), events)) if isinstance(event, bytes)] == [
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
    assert summary(play(Blocks(128, 128, 3, 4), events)) == [
        (0.1, 200),
        (0.1, b"a" * 24),
        (0.2, b"a" * 116 + b"b"),
        (0.3, "end"),
    ]


def test_blocks_lose_the_partly_filled_buffer_on_a_reset() -> None:
    events: list[Timed] = [(0.0, head("close")), (0.1, Data(b"x" * 50)), (0.2, Cut("rst"))]
    assert summary(play(Blocks(128, 128), events)) == [(0.1, 200), (0.1, b"x" * 28), (0.2, "cut rst")]
    assert summary(play(Blocks(128, 128, on_reset="deliver"), events))[2:] == [(0.2, b"x" * 22), (0.2, "cut rst")]


def test_blocks_leave_two_by_two_and_all_nine_before_the_next_read() -> None:
    """nginx reads until its nine buffers are full, writes them two by two, and begins again."""
    head_of_100 = head("close", 100)
    out = summary(play(Blocks(128, 128, 3, 4, busy=256), [(0.0, head_of_100), (0.1, Data(b"x" * 1500)), (0.2, End())]))
    sizes = [len(event) for at, event in out if at == 0.1 and isinstance(event, bytes)]
    assert sizes == [28 + 128, 256, 256, 256, 128, 256, 128]


def test_the_larger_first_buffer_comes_back_and_is_filled_again_before_the_others() -> None:
    events: list[Timed] = [(0.0, head("close", 100)), (0.1, Data(b"x" * 156)), (0.2, Data(b"y" * 255)), (0.3, End())]
    assert summary(play(Blocks(128, 256), events))[1:] == [(0.1, b"x" * 156), (0.3, b"y" * 255), (0.3, "end")]
    large: list[Timed] = [(0.0, head("close", 100)), (0.1, Data(b"x" * (156 + 8 * 128 + 256))), (0.2, End())]
    sizes = [len(event) for _, event in summary(play(Blocks(128, 256), large)) if isinstance(event, bytes)]
    assert sizes == [156 + 2 * 128, 512, 128 + 128, 256]


def test_a_buffer_that_ends_inside_a_chunk_size_takes_its_digits_for_the_size() -> None:
    events: list[Timed] = [
        (0.0, head("chunked", 100)),
        (0.1, framed(b"a" * 148, "chunked")),  # two bytes less than two buffers: its end waits
        (0.2, Data(b"b" * 30, 6, 0, 4096 - 30)),  # '10' of '1000 CRLF' is in that buffer: 16 B are expected
    ]
    assert summary(play(Blocks(128, 128, 3, 4), events))[1:] == [(0.1, b"a" * 24), (0.2, b"a" * 124 + b"b" * 30)]


def test_blocks_refuse_a_head_that_does_not_fit() -> None:
    out = play(Blocks(64, 64), [(0.0, head("close", 100)), (0.1, Data(b"x")), (0.2, End())])
    assert summary(out) == [(0.0, 502), (0.0, b"502 Bad Gateway\n"), (0.0, "end")]
