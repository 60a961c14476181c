"""A trace to export, an app that streams, and an exporter that a test holds closed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from streamproof import Chunk, Outcome, Trace
from streamproof.sansio.trace import Request, Response, StreamEnd

CHUNKS = (Chunk(0.25, 10, 0.5, b"0123456789"), Chunk(1.0, 5, 1.0, b"01234"), Chunk(3.0, 1, 3.25, b"0"))


def trace(outcome: Outcome = Outcome.COMPLETE, target: str = "/s", **end: Any) -> Trace:
    head = Response(200, (("Content-Type", "text/plain"),), 0.125)
    return Trace(Request("GET", target), head, CHUNKS, StreamEnd(4.0, outcome, **end))


class Full:
    """A listener that a test holds closed, so that it is full."""

    def __init__(self) -> None:
        self.exported: list[Trace] = []
        self.open = threading.Event()
        self.raising: BaseException | None = None

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        self.open.wait(10)
        if self.raising is not None:
            raise self.raising
        self.exported.append(trace)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    return body()
