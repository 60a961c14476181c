"""Where a body may be cut or added to: held against a plain reading of the grammars, for any way of cutting it up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof.sansio.framing import EVENTS, JSON_LINES, LINES, OPAQUE, Scanner, framing_of, noise

EVENT_TEXT = st.text("ab:\n\r", max_size=60).map(str.encode)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """``body`` in pieces."""
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]


def dispatched(body: bytes) -> int:
    """How many empty lines an event stream's reader has seen at the end of ``body``."""
    lines = re.split(rb"\r\n|\n|\r", body)
    return sum(1 for line in lines[:-1] if not line)


def at_boundary(body: bytes) -> bool:
    """Is the end of ``body`` the end of an event, whatever follows?"""
    if body.endswith(b"\r") and not body.endswith(b"\r\r"):
        return False  # an LF may follow and belong to it
    lines = re.split(rb"\r\n|\n|\r", body)
    return body == b"" or (lines[-2:] == [b"", b""])


@given(EVENT_TEXT, st.lists(st.integers(0, 60)))
def test_an_event_ends_with_an_empty_line_however_it_is_cut(body: bytes, places: list[int]) -> None:
    scanner = Scanner("event")
    seen = b""
    for piece in cut(body, places):
        scanner.see(piece)
        seen += piece
        assert scanner.at_boundary == at_boundary(seen), seen


@given(EVENT_TEXT, st.lists(st.integers(0, 60)))
def test_offsets_found_are_the_boundaries(body: bytes, places: list[int]) -> None:
    scanner, found, start = Scanner("event"), set(), 0
    for piece in cut(body, places):
        found |= {start + offset for offset in scanner.find(piece)}
        start += len(piece)
    expected = {end for end in range(1, len(body) + 1) if at_boundary(body[:end])}
    assert found == expected


@given(EVENT_TEXT, EVENT_TEXT)
def test_a_comment_at_a_boundary_changes_no_event(before: bytes, after: bytes) -> None:
    scanner = Scanner("event")
    scanner.see(before)
    if scanner.at_boundary:
        assert EVENTS.beat is not None
        beaten = before + EVENTS.beat(20, 1) + after
        assert _events(beaten) == _events(before + after)


def _events(body: bytes) -> list[list[bytes]]:
    """The events of a stream as lists of their lines, comments left out (WHATWG HTML section 9.2.6)."""
    events: list[list[bytes]] = [[]]
    for line in re.split(rb"\r\n|\n|\r", body)[:-1]:
        if not line:
            events.append([])
        elif not line.startswith(b":"):
            events[-1].append(line)
    return [event for event in events if event]


@given(st.binary(max_size=40).map(lambda data: data + b"\n"), st.lists(st.integers(0, 40)))
def test_a_line_ends_with_lf(body: bytes, places: list[int]) -> None:
    scanner, found, start = Scanner("line"), [], 0
    for piece in cut(body, places):
        found += [start + offset for offset in scanner.find(piece)]
        start += len(piece)
    assert found == [index + 1 for index, byte in enumerate(body) if byte == 10]
    assert scanner.at_boundary


def test_an_opaque_body_has_no_boundary() -> None:
    scanner = Scanner("nowhere")
    scanner.see(b"\n\n")
    assert not scanner.at_boundary
    assert not scanner.find(b"a\n\n")


@pytest.mark.parametrize(
    ("media", "framing"),
    [
        ("text/event-stream; charset=utf-8", EVENTS),
        ("Application/X-NDJSON", JSON_LINES),
        ("text/csv", LINES),
        ("application/octet-stream", OPAQUE),
        ("application/json", OPAQUE),
    ],
)
def test_the_media_type_tells_the_framing(media: str, framing: object) -> None:
    assert framing_of((("Content-Type", media),)) is framing


def test_an_encoded_body_is_opaque() -> None:
    assert framing_of((("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip"))) is OPAQUE


@pytest.mark.parametrize("size", [0, 1, 30, 4096])
def test_a_heartbeat_has_the_size_asked_for_and_is_a_whole_comment(size: int) -> None:
    assert EVENTS.beat is not None
    beat = EVENTS.beat(size, 7)
    assert len(beat) == max(size, 3)
    assert _events(beat) == []
    assert beat.endswith(b"\n\n")


@given(st.integers(0, 10**6))
def test_noise_does_not_repeat(serial: int) -> None:
    import zlib

    text = noise(2000, serial) + noise(2000, serial + 1)
    assert len(zlib.compress(text, 9)) > 2000
