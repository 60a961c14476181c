"""Find out who holds the bytes, from several traces of the same response recorded at several places.

Bytes that entered a leg and did not leave it are inside. If a leg changed the bytes (compression), the comparison is
causal: how many bursts went in before one came out. The caller names the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .delivery import Comparison, bursts, comparable, compare
from .errors import ConfigurationError
from .trace import Trace


@dataclass(frozen=True, slots=True)
class Leg:
    """What happened between two places. Seconds and bytes.

    ``worst_lag`` and ``byte_seconds`` are exact if ``exact``, otherwise counted burst by burst. ``bursts_in`` and
    ``bursts_out`` count bursts, ``held`` those that left only after the next one had entered.
    """

    before: str
    after: str
    bursts_in: int
    bursts_out: int
    held: int
    worst_lag: float
    byte_seconds: float
    most_held: int
    exact: bool

    def __str__(self) -> str:
        return (
            f"{self.before} -> {self.after}: {self.bursts_in} bursts in, {self.bursts_out} out, "
            f"{self.held} held, up to {self.worst_lag:.3f} s"
        )


@dataclass(frozen=True, slots=True)
class Location:
    """Every leg, app side first, and the one that held most (None when none held a burst)."""

    legs: tuple[Leg, ...]
    holder: Leg | None

    def __str__(self) -> str:
        if self.holder is None:
            return "no place holds bytes"
        leg = self.holder
        return (
            f"{leg.bursts_in} bursts in, {leg.bursts_out} out, held up to {leg.worst_lag:.3f} s "
            f"between {leg.before} and {leg.after}"
        )


def locate(places: Sequence[tuple[str, Trace]]) -> Location:
    """Find out who held what of one response recorded at ``places``: (name, trace) pairs, app side first.

    All traces count seconds from the same moment. Raises ConfigurationError for fewer than two places or a trace
    without chunks.
    """
    if len(places) < 2:
        raise ConfigurationError(
            f"locate() got {len(places)} trace(s). Expected at least two places, app side first, as (name, trace). "
            "Was the reader's own recording left out?"
        )
    for name, trace in places:
        if not trace.whole:
            raise ConfigurationError(
                f"The trace taken at {name!r} keeps no chunks. Expected all of them. "
                "Was it recorded without keep_chunks=True?"
            )
    legs = tuple(_leg(before, after) for before, after in zip(places, places[1:], strict=False))
    holding = [leg for leg in legs if leg.held]
    return Location(legs, max(holding, key=lambda leg: leg.worst_lag) if holding else None)


def _leg(before: tuple[str, Trace], after: tuple[str, Trace]) -> Leg:
    (name, made), (next_name, got) = before, after
    if comparable(made, got):
        seen: Comparison = compare(made, got)
        counts = len(seen.produced), len(seen.delivered), seen.held
        return Leg(name, next_name, *counts, seen.worst_lag, seen.byte_seconds, seen.most_held, True)
    entered, left = bursts(made.chunks), bursts(got.chunks)
    held, worst, weighed = 0, 0.0, 0.0
    for index, burst in enumerate(entered):
        # Causality only: the next output after this input, whatever is in it.
        out_at = next((out.at for out in left if out.at >= burst.at), got.end.at)
        following = entered[index + 1].at if index + 1 < len(entered) else float("inf")
        held += out_at >= following
        worst = max(worst, out_at - burst.at)
        weighed += burst.size * (out_at - burst.at)
    return Leg(name, next_name, len(entered), len(left), held, worst, weighed, 0, False)
