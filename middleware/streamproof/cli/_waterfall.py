"""Draws deliveries as rows on one time axis, which shows at a glance what was held.

Pure: numbers in, characters out. A block marks bytes that arrived; its height is their share of the body. A dot marks
the time in which produced bytes were held. A cross marks where the response broke off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..sansio.delivery import BURST_GAP, Burst


@dataclass(frozen=True, slots=True)
class Pens:
    """The characters of a drawing; ``levels`` go from few bytes to the whole body."""

    levels: str = "▂▃▄▅▆▇█"
    hold: str = "·"
    cut: str = "x"


BLOCKS = Pens()
ASCII = Pens(levels="ioO#", hold=".")


def pens(encoding: str | None) -> Pens:
    """The block characters when ``encoding`` has them, else ASCII."""
    try:
        (BLOCKS.levels + BLOCKS.hold).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


@dataclass(frozen=True, slots=True)
class Axis:
    """A time axis of ``seconds`` in ``width`` columns."""

    seconds: float
    width: int

    def column(self, at: float) -> int:
        """The column of the time ``at``."""
        if self.seconds <= 0:
            return 0
        return max(0, min(self.width - 1, int(at / self.seconds * self.width)))

    def ruler(self) -> str:
        """The times at both ends and in the middle."""
        scale, digits, unit = (1000, 0, "ms") if self.seconds < 0.1 else (1, 2, "s")
        middle, end = f"{self.seconds / 2 * scale:.{digits}f}", f"{self.seconds * scale:.{digits}f} {unit}"
        room = self.width - 1 - len(end)
        return "0" + middle.center(room) + end if room > len(middle) else "0" + end.rjust(self.width - 1)


def row(produced: Sequence[Burst], delivered: Sequence[Burst], end: float, broken: bool, axis: Axis, pens: Pens) -> str:
    """Draw one delivery in ``axis.width`` characters; ``broken`` when it was incomplete at ``end``, in seconds."""
    cells = [" "] * axis.width
    for start, stop in _holds(produced, delivered, end):
        if stop - start >= BURST_GAP:
            for column in range(axis.column(start), axis.column(stop)):
                cells[column] = pens.hold
    amounts = [0] * axis.width
    for burst in delivered:
        amounts[axis.column(burst.at)] += burst.size
    total = max(sum(burst.size for burst in produced), sum(amounts))
    for column, amount in enumerate(amounts):
        if amount:
            level = min(len(pens.levels) - 1, amount * len(pens.levels) // total)
            cells[column] = pens.levels[level]
    if broken:
        column = axis.column(end)
        cells[min(column + 1, axis.width - 1) if amounts[column] else column] = pens.cut
    return "".join(cells)


def _holds(produced: Sequence[Burst], delivered: Sequence[Burst], end: float) -> Sequence[tuple[float, float]]:
    """For each produced burst: the start and the end of the time in which its last byte was held."""
    holds = []
    arrivals = iter(delivered)
    produced_bytes = delivered_bytes = 0
    at: float | None = 0.0
    for burst in produced:
        produced_bytes += burst.size
        while delivered_bytes < produced_bytes and at is not None:
            arrival = next(arrivals, None)
            if arrival is None:
                at = None
            else:
                delivered_bytes, at = delivered_bytes + arrival.size, arrival.at
        holds.append((burst.at, end if at is None else at))
    return holds
