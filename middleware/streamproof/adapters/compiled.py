"""The compiled counting (``_counting_c/``), where it was built and reads the same clock as the rest; else None.

Decides only whether to use it. It counts what ``bodies.py`` and ``asgi/recording.py`` count in Python, at a fraction of
the cost; without it nothing else changes.
"""

from __future__ import annotations

from typing import Any

from ..sansio.stats import GAP_BOUNDS, RunningStatsLike
from .recording import clock


def _load() -> Any:
    try:
        from . import _counting
    except ImportError:  # no compiler when it was installed, or a Python without the GIL
        return None
    before = clock()
    if not before <= _counting.clock() <= clock():
        return None
    _counting.gap_bounds(GAP_BOUNDS)
    return _counting


#: The extension module, or None.
counting = _load()


def sums() -> RunningStatsLike | None:
    """What a recorder adds up with, and the compiled objects take; None when there is nothing compiled."""
    return None if counting is None else counting.RunningStats()
