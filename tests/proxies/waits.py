"""How long threads waited for a processor while they could have run, as Linux counts it for each of them.

The second field of ``/proc/…/schedstat`` (Documentation/scheduler/sched-stats.rst). Where there is no such file every
wait is 0.0, and every take counts as punctual.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def of_this_thread() -> float:
    """Seconds that the calling thread has waited so far."""
    return _waited("/proc/thread-self")


def of_processes(pids: Iterable[int]) -> float:
    """Seconds that all threads of these processes have waited so far, together."""
    total = 0.0
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        total += sum(_waited(f"/proc/{pid}/task/{task}") for task in tasks)
    return total


def _waited(task: str) -> float:
    try:
        return int(Path(task, "schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
