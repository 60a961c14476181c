"""Traces written by hand, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamproof.sansio.http import Framing
from streamproof.sansio.trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace

TEXT = (("Content-Type", "text/plain"),)


def stream(
    chunks: Iterable[tuple[float, int | bytes]],
    *,
    end: float | None = None,
    headers: Sequence[tuple[str, str]] = TEXT,
    framing: Framing | None = "chunked",
    outcome: Outcome = Outcome.COMPLETE,
    how: How | None = None,
    status: int = 200,
    head_at: float = 0.0,
    head_size: int | None = 100,
    request: Request | None = None,
    server: str | None = None,
) -> Trace:
    """A trace of (seconds, size or bytes) chunks; it ends with the last one unless ``end`` says when."""
    parts = tuple(
        Chunk(at, body, at) if isinstance(body, int) else Chunk(at, len(body), at, body) for at, body in chunks
    )
    last = parts[-1].at if parts else head_at
    response = Response(status, tuple(headers), head_at, head_size, framing)
    return Trace(request or Request(), response, parts, StreamEnd(last if end is None else end, outcome, how), server)


def tokens(count: int = 10, *, every: float = 0.5, size: int = 16) -> Trace:
    """``count`` chunks of ``size`` bytes with data, one ``every`` seconds, ended one step after the last."""
    body = bytes(range(97, 123)) * (size // 26 + 1)
    return stream([(index * every, body[:size]) for index in range(count)], end=count * every)
