"""Timed events for one stage: heads and bodies to play through it, and short forms of what came out."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Sequence

from streamproof.sansio.http import Framing, Headers
from streamproof.sansio.machine import Cut, Data, End, Event, Events, Head, StageSettings, framed
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


def summary(out: Sequence[Timed]) -> list[tuple[float, object]]:
    """A played schedule in short: heads by status, bytes as bytes, ends by name."""
    names: dict[type, Callable[..., object]] = {
        Head: lambda event: event.status,
        Data: lambda event: bytes(event.data),
        End: lambda event: "end",
        Cut: lambda event: f"cut {event.how}",
    }
    return [(round(at, 6), names[type(event)](event)) for at, event in out]


def readable(out: Sequence[Timed], until: float) -> bytes:
    """The body that a reader has understood by then."""
    first = next((event for _, event in out if type(event) is Head), None)
    data = b"".join(bytes(event.data) for at, event in out if type(event) is Data and at <= until)
    if first is not None and ("Content-Encoding", "gzip") in first.headers:
        return zlib.decompressobj(31).decompress(data)
    return data


CHUNK20: list[Timed] = [(step / 10, framed(b"%019d\n" % step, "chunked")) for step in range(1, 4)]
LINE = [b"%019d\n" % step for step in range(5)]


def headers(out: Sequence[Timed]) -> Headers:
    first = out[0][1]
    assert isinstance(first, Head)
    return first.headers
