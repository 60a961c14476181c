"""The statistics of one stream: first byte, silences, backpressure, gaps. :class:`RunningStats` counts them.

:class:`RunningStats` uses constant memory; :class:`Stats` is its result. An optional compiled version of
:class:`RunningStats` is in ``adapters/_counting.c``; the one here is the reference.

A *gap* is the time between two chunks produced. A *silence* is the part of a gap in which downstream was already
waiting (from the acceptance of one chunk to the production of the next), or the wait from the last chunk to the end.
*Backpressure* is the time that a chunk waited to be taken (accepted minus produced). The wait for the first byte is
``first_byte`` and not a silence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

#: Upper bounds of the gap histogram, seconds; the last bucket is open. Prometheus' default buckets from 5 ms to
#: 10 s, and beside them 1 ms (one loopback hop), 30 s and 60 s (the idle limits of Heroku and nginx).
GAP_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_NO_GAPS = (0,) * (len(GAP_BOUNDS) + 1)


class Stats(NamedTuple):
    """The statistics of one stream. Times are seconds from the request, durations seconds, sizes bytes.

    ``gaps`` counts the gaps in each bucket of :data:`GAP_BOUNDS` (upper bounds inclusive), and in one more above.
    ``empty_chunks`` are chunks without a byte; ``chunks`` does not count them.
    """

    head_at: float | None = None
    first_byte: float | None = None
    last_byte: float | None = None
    chunks: int = 0
    empty_chunks: int = 0
    bytes: int = 0
    longest_silence: float = 0.0
    longest_silence_at: float | None = None
    backpressure: float = 0.0
    longest_backpressure: float = 0.0
    longest_gap: float = 0.0
    gaps: tuple[int, ...] = _NO_GAPS

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain data for JSON."""
        return {**self._asdict(), "gaps": list(self.gaps)}


class RunningStats:
    """Count chunks as they come, in constant memory. Times are seconds from the request."""

    __slots__ = (
        "accepted_at",
        "backpressure",
        "bytes",
        "chunks",
        "empty",
        "first",
        "gaps",
        "last",
        "longest_backpressure",
        "longest_gap",
        "silence",
        "silence_at",
    )

    def __init__(self) -> None:
        self.chunks = self.empty = self.bytes = 0
        self.first: float | None = None
        self.last = self.accepted_at = 0.0
        self.silence = self.backpressure = self.longest_backpressure = self.longest_gap = 0.0
        self.silence_at: float | None = None
        self.gaps: Sequence[int] | None = None

    def add(self, at: float, size: int, accepted_at: float | None, /) -> None:
        """Count one chunk, produced and accepted at these times (``accepted_at`` None: downstream never took it)."""
        if size <= 0:
            self.empty += 1
            return
        if self.first is None:
            self.first = at
        else:
            gap = at - self.last
            if gap > self.longest_gap:
                self.longest_gap = gap
            gaps: Any = self.gaps
            if gaps is None:
                self.gaps = gaps = [0] * (len(GAP_BOUNDS) + 1)
            gaps[bisect_left(GAP_BOUNDS, gap)] += 1
            silence = at - self.accepted_at
            if silence > self.silence:
                self.silence, self.silence_at = silence, self.accepted_at
        self.chunks += 1
        self.bytes += size
        self.last = at
        if accepted_at is None:
            accepted_at = at
        self.accepted_at = accepted_at
        waited = accepted_at - at
        self.backpressure += waited
        if waited > self.longest_backpressure:
            self.longest_backpressure = waited


def size_of(data: object) -> int:
    """Return how many bytes are in ``data``; 0 if it is not bytes."""
    if isinstance(data, bytes):
        return len(data)
    try:
        return memoryview(data).nbytes  # type: ignore[arg-type]
    except TypeError:
        return 0


def read(running: RunningStats, *, head_at: float | None, end_at: float) -> Stats:
    """Return the statistics up to ``end_at`` (seconds from the request), including the silence since the last chunk."""
    silence, silence_at, first, gaps = running.silence, running.silence_at, running.first, running.gaps
    if first is not None and end_at - running.accepted_at > silence:
        silence, silence_at = end_at - running.accepted_at, running.accepted_at
    return Stats(
        head_at,
        first,
        None if first is None else running.last,
        running.chunks,
        running.empty,
        running.bytes,
        silence,
        silence_at,
        running.backpressure,
        running.longest_backpressure,
        running.longest_gap,
        _NO_GAPS if gaps is None else tuple(gaps),
    )
