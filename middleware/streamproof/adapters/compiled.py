"""The compiled counting (``_counting.c``), where it was built and counts as the rest does; else None.

Decides only whether to use it. The Python that it stands in for is ``sansio/stats.py``, ``wsgi/bodies.py`` and
``asgi/recording.py``: without the extension module nothing changes but the cost of a chunk.
"""

from __future__ import annotations

import sysconfig
import time
from typing import Any

from ..sansio.stats import RunningStats
from .recording import clock

#: The clock that is read there, as the standard library calls it.
CLOCK = "clock_gettime(CLOCK_MONOTONIC)"


def _load() -> Any:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None  # its objects need the GIL
    try:
        from . import _counting
    except ImportError:  # no compiler when it was installed
        return None
    if clock is not time.perf_counter or time.get_clock_info("perf_counter").implementation != CLOCK:
        return None
    return _counting


#: The extension module, or None.
counting = _load()


def running_stats() -> RunningStats:
    """What a recorder adds up with: an object that the compiled iterators take, where there are any."""
    return RunningStats() if counting is None else counting.RunningStats()
