"""Call a function at intervals while streams are open: :class:`Periodic`, for ages in metrics and lines in the log.

The thread sleeps while no stream is open. The first stream starts it, so it is never started before a fork.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable

from .forks import renew_in_children


class Periodic:
    """Calls ``look`` every ``every`` seconds for as long as it returns True, and once more.

    :meth:`opened` starts it, and costs a response next to nothing. ``look`` must not raise.
    """

    def __init__(self, look: Callable[[], bool], *, every: float) -> None:
        self._look, self._every = look, every
        renew_in_children(self)

    def renew(self) -> None:
        """Leave the thread to the parent process."""
        self._wanted = threading.Event()
        self._begun = False
        self._starting = threading.Lock()

    def opened(self) -> None:
        """A stream began."""
        if not self._wanted.is_set():
            self._begin()

    def _begin(self) -> None:
        with self._starting:
            if not self._begun:
                wanted = self._wanted
                owner = weakref.ref(self, lambda gone: wanted.set())
                threading.Thread(
                    target=_go, args=(owner, wanted, self._every), daemon=True, name="streamproof-periodic"
                ).start()
                self._begun = True
            self._wanted.set()


def _go(owner: weakref.ref[Periodic], wanted: threading.Event, every: float) -> None:
    while wanted.wait() and owner() is not None:
        time.sleep(every)
        wanted.clear()  # before the look: a stream that begins meanwhile sets it again
        periodic = owner()
        if periodic is None or periodic._look():
            wanted.set()
        del periodic
