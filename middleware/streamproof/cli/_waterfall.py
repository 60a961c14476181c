"""Draws deliveries on one time axis, a row each, so that what was held can be seen at a glance.

Pure: numbers in, characters out. A mark stands where bytes arrived, the taller the more of the body came at once; a
light dot where bytes that the app had produced were on their way; a cross where the response was broken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..sansio.delivery import BURST_GAP, Burst


@dataclass(frozen=True, slots=True)
class Pens:
    """The characters to draw with: ``levels`` from few bytes to all."""

    levels: str = "▂▃▄▅▆▇█"
    hold: str = "·"
    cut: str = "x"


BLOCKS = Pens()
ASCII = Pens(levels="ioO#", hold=".")


def pens(encoding: str | None) -> Pens:
    """Blocks where the output can show them, else ASCII."""
    try:
        (BLOCKS.levels + BLOCKS.hold).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


@dataclass(frozen=True, slots=True)
class Axis:
    """``seconds`` from left to right in ``width`` columns."""

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
    """One delivery, ``axis.width`` characters; ``end`` in seconds, ``broken`` when it was not complete there."""
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
    """For each burst produced: from when to when its last byte was under way."""
    out = []
    arrivals = iter(delivered)
    made = got = 0
    at: float | None = 0.0
    for burst in produced:
        made += burst.size
        while got < made and at is not None:
            arrival = next(arrivals, None)
            if arrival is None:
                at = None
            else:
                got, at = got + arrival.size, arrival.at
        out.append((burst.at, end if at is None else at))
    return out
