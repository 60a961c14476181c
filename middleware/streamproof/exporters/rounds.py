"""Goes round the open streams every so often, on a thread that sleeps while none is open.

For what can't be asked the moment somebody wants to know: a figure that other processes read from a file, a line in the
log. Knows when to look, not what for. The thread is made by the first stream, so never before a fork.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable


class Rounds:
    """Calls ``look`` every ``every`` seconds for as long as it says that a stream is open, and once more.

    It begins at :meth:`opened`, which costs a response next to nothing. ``look`` must not raise.
    """

    def __init__(self, look: Callable[[], bool], *, every: float) -> None:
        self._look, self._every = look, every
        self._wanted = threading.Event()
        self._process = 0
        self._starting = threading.Lock()

    def opened(self) -> None:
        """A stream began."""
        if not self._wanted.is_set() or self._process != os.getpid():
            self._begin()

    def _begin(self) -> None:
        with self._starting:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._wanted = wanted = threading.Event()
                owner = weakref.ref(self, lambda gone: wanted.set())
                threading.Thread(
                    target=_go, args=(owner, wanted, self._every), daemon=True, name="streamproof-rounds"
                ).start()
            self._wanted.set()


def _go(owner: weakref.ref[Rounds], wanted: threading.Event, every: float) -> None:
    while wanted.wait() and owner() is not None:
        time.sleep(every)
        wanted.clear()  # before the look: a stream that begins meanwhile sets it again
        rounds = owner()
        if rounds is None or rounds._look():
            wanted.set()
        del rounds
