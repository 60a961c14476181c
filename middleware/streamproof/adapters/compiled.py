"""Choose between the compiled counting (``_counting.c``) and the Python one: :data:`counting`.

The compiled one is used if it was built and reads the same clock. The Python that it replaces is in
``sansio/stats.py``, ``wsgi/bodies.py`` and ``asgi/recording.py``. Only the cost of a chunk differs.
"""

from __future__ import annotations

import sysconfig
import time
from typing import Any

from ..sansio.stats import RunningStats
from .recording import clock

#: The clock that the C code reads, as the standard library names it.
CLOCK = "clock_gettime(CLOCK_MONOTONIC)"


def _load() -> Any:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None  # the C objects need the GIL
    try:
        from . import _counting
    except ImportError:  # no compiler when it was installed
        return None
    if clock is not time.perf_counter or time.get_clock_info("perf_counter").implementation != CLOCK:
        return None
    return _counting


#: The extension module; None if it is not used.
counting = _load()


def running_stats() -> RunningStats:
    """Return new running statistics for a recorder, compiled ones if the extension is used."""
    return RunningStats() if counting is None else counting.RunningStats()
