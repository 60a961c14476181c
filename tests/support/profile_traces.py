"""Traces to replay through profiles, and values for their options."""

from __future__ import annotations

from hypothesis import strategies as st

from streamproof import Trace
from streamproof.profiles import catalogue
from streamproof.profiles.options import Option
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd

NAMES = list(catalogue())
TEXT = b"".join(b"%06d,sensor,%03d\n" % (row, row * 7919 % 1000) for row in range(9000))


def trace(
    *pieces: tuple[float, bytes],
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/event-stream"),),
    request: Request | None = None,
    outcome: Outcome = Outcome.COMPLETE,
    end: float | None = None,
) -> Trace:
    last = pieces[-1][0] if pieces else 0.0
    return Trace(
        request or Request(headers=(("Accept-Encoding", "gzip"),)),
        Response(200, headers, 0.0),
        tuple(Chunk(at, len(data), None, data) for at, data in pieces),
        StreamEnd(last + 0.1 if end is None else end, outcome),
    )


def arrivals(delivery: Trace) -> list[tuple[float, bytes]]:
    return [(round(chunk.at, 6), chunk.data or b"") for chunk in delivery.chunks]


EVENTS = [(step / 10, b"data: %011d\n\n" % step) for step in range(1, 6)]


def values_of(option: Option) -> st.SearchStrategy[str]:
    """Texts that this option takes."""
    some = {
        "size": ("512", "4k", "16k"),
        "time": ("50ms", "2s", "1m"),
        "milliseconds": ("200", "29000"),
        "int": ("1", "5"),
        "list": ("", "text/event-stream", "text/plain text/event-stream", "X-Accel-Buffering"),
        "version": ("1.29.7", "2.9.0", "9.2"),
        "text": ("here",),
    }
    return st.sampled_from((option.default, *(option.values or some[option.kind])))


XAB = (("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"))


def fields_of(delivery: Trace) -> dict[str, str]:
    assert delivery.response is not None
    return {name.lower(): value for name, value in delivery.response.headers}
