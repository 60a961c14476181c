"""Count every trace, whatever the queue of the exporters does: :class:`Counting`.

Metrics are counted in the threads of the responses. Only one thread counts at a time. A response that ends meanwhile
leaves its counts to that thread and goes on, so none waits, and none is lost.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from .forks import renew_in_children


class Counting:
    """Calls functions one after the other, each once. They must neither raise nor block."""

    def __init__(self) -> None:
        renew_in_children(self)

    def renew(self) -> None:
        """Leave to the parent process what was added before the fork."""
        self._waiting: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._counts = threading.Lock()

    def add(self, act: Callable[[], object]) -> None:
        """Have ``act`` called at the next :meth:`run`. Safe in a finalizer, in any thread."""
        self._waiting.put(act)

    def run(self) -> None:
        """Call what was added, unless somebody does so now; then that one calls it, too."""
        waiting, counts = self._waiting, self._counts
        while not waiting.empty() and counts.acquire(blocking=False):
            try:
                while True:
                    waiting.get_nowait()()
            except queue.Empty:
                pass
            finally:
                counts.release()
