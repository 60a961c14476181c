"""The noise floor: by how much do repetitions of the same real thing differ on this machine, right now?

Knows two takes of one pair. What the comparison finds below this floor says nothing about replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .compare import bursts, lag_error, noisy
from .schedules import Schedule
from .stage import Stage, Take


@dataclass(frozen=True, slots=True)
class Floor:
    """Of ``pairs`` played twice: how many had the same bursts, how many differed by more than is allowed.

    ``typical`` and ``high`` are the median and the 90th percentile of the worst byte of a pair, seconds.
    """

    pairs: int
    same_bursts: int
    noisy: int
    typical: float
    high: float

    def __str__(self) -> str:
        return f"{self.typical * 1e3:.1f} / {self.high * 1e3:.1f} ms, {self.same_bursts}/{self.pairs}"


def measure(stage: Stage, schedules: Sequence[Schedule]) -> Floor:
    """Play each schedule twice, alone, and compare the two."""
    twice = [(stage.play(schedule), stage.play(schedule)) for schedule in schedules]
    worst = sorted(_worst(one, other) for one, other in twice) or [0.0]
    return Floor(
        pairs=len(twice),
        same_bursts=sum(_partition(one) == _partition(other) for one, other in twice),
        noisy=sum(noisy(one.real, other.real) for one, other in twice),
        typical=worst[len(worst) // 2],
        high=worst[len(worst) * 9 // 10],
    )


def _partition(take: Take) -> list[int]:
    return [burst.upto for burst in bursts(take.real)]


def _worst(one: Take, other: Take) -> float:
    return lag_error(one.real, other.real)
