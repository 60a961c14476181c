"""Compare a production with a delivery of it: bursts, lag byte by byte, what waited for what.

Both traces are of the same response. If a layer changed the bytes (compression), offsets mean nothing, and
:func:`comparable` says so. ``verdict.py`` judges the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .trace import Chunk, Outcome, Trace

#: Arrivals closer than this are one burst, seconds: what a reader cannot tell apart on a busy machine, and half of
#: what the noise of two recordings of the same proxy allows to assert.
BURST_GAP = 0.005


class Burst(NamedTuple):
    """Arrivals that came together: time of the first in seconds, bytes in all."""

    at: float
    size: int


class Lag(NamedTuple):
    """A run of bytes that waited equally long: offset of its first byte, bytes, seconds."""

    offset: int
    size: int
    seconds: float


def bursts(chunks: Iterable[Chunk], gap: float = BURST_GAP) -> tuple[Burst, ...]:
    """Merge chunks that come less than ``gap`` seconds after the one before."""
    out: list[Burst] = []
    before = 0.0
    for chunk in chunks:
        if not chunk.size:
            continue
        if out and chunk.at - before < gap:
            out[-1] = Burst(out[-1].at, out[-1].size + chunk.size)
        else:
            out.append(Burst(chunk.at, chunk.size))
        before = chunk.at
    return tuple(out)


def comparable(production: Trace, delivery: Trace) -> bool:
    """Do byte offsets mean the same byte in both? Not if the delivery has more bytes or was encoded."""
    made, got = production.stats.bytes, delivery.stats.bytes
    complete = production.outcome == delivery.outcome == "complete"
    return made == got if complete else got <= made


def lags(production: Sequence[Chunk], delivery: Sequence[Chunk]) -> Iterator[Lag]:
    """Delivery time minus production time over the bytes that both have, in order. Never below 0."""
    made, got = iter(production), iter(delivery)
    offset = have = room = 0
    made_at = got_at = 0.0
    while True:
        while not have:
            if (chunk := next(made, None)) is None:
                return
            have, made_at = chunk.size, chunk.at
        while not room:
            if (chunk := next(got, None)) is None:
                return
            room, got_at = chunk.size, chunk.at
        size = min(have, room)
        yield Lag(offset, size, max(got_at - made_at, 0.0))
        offset, have, room = offset + size, have - size, room - size


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a production on its way. Seconds and bytes; counts are of bursts produced.

    ``held``: bursts that arrived only after the next one had been produced, or never. ``lost``: bytes that never
    arrived. ``most_held``: bytes under way at once.
    """

    produced: tuple[Burst, ...]
    delivered: tuple[Burst, ...]
    worst_lag: float
    worst_at: int
    byte_seconds: float
    held: int
    lost: int
    most_held: int

    @property
    def all_at_the_end(self) -> bool:
        """Did everything arrive in one burst after the last one was produced?"""
        return len(self.delivered) == 1 < len(self.produced) and self.delivered[0].at >= self.produced[-1].at


def compare(production: Trace, delivery: Trace, *, tolerance: float = BURST_GAP) -> Comparison:
    """Compare ``delivery`` with ``production``. Waits up to ``tolerance`` seconds past the next burst do not count."""
    made, got = bursts(production.chunks), bursts(delivery.chunks)
    worst, worst_at, byte_seconds = 0.0, 0, 0.0
    for lag in lags(production.chunks, delivery.chunks):
        byte_seconds += lag.size * lag.seconds
        if lag.seconds > worst:
            worst, worst_at = lag.seconds, lag.offset
    total = sum(burst.size for burst in made)
    arrived = sum(burst.size for burst in got)
    if arrived < total and delivery.outcome is Outcome.CLIENT_GONE:
        # What had not arrived when the reader left has waited that long at least.
        waited = delivery.end.at - _produced_at(production.chunks, arrived)
        if waited > worst:
            worst, worst_at = waited, arrived
    return Comparison(
        produced=made,
        delivered=got,
        worst_lag=worst,
        worst_at=worst_at,
        byte_seconds=byte_seconds,
        held=_held(made, got, tolerance),
        lost=max(total - arrived, 0),
        most_held=_most_held(production.chunks, delivery.chunks),
    )


def _produced_at(chunks: Sequence[Chunk], offset: int) -> float:
    """When the byte at ``offset`` was produced."""
    for chunk in chunks:
        if offset < chunk.size:
            return chunk.at
        offset -= chunk.size
    return chunks[-1].at


def _held(made: Sequence[Burst], got: Sequence[Burst], tolerance: float) -> int:
    """Bursts of ``made`` whose last byte came later than the next burst was produced, or not at all."""
    count = need = have = 0
    arrivals = iter(got)
    at = 0.0
    for index, burst in enumerate(made):
        need += burst.size
        while have < need and (arrival := next(arrivals, None)) is not None:
            have, at = have + arrival.size, arrival.at
        following = made[index + 1].at if index + 1 < len(made) else float("inf")
        if have < need or at > following + tolerance:
            count += 1
    return count


def _most_held(made: Sequence[Chunk], got: Sequence[Chunk]) -> int:
    steps = sorted(
        [(chunk.at, 0, chunk.size) for chunk in made] + [(chunk.at, 1, -chunk.size) for chunk in got],
        key=lambda step: step[:2],
    )
    now: float | None = None
    under_way = most = 0
    for at, _, size in steps:
        if now is not None and at > now:
            most = max(most, under_way)
        under_way, now = under_way + size, at
    return most
