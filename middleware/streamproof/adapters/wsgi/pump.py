"""Run a WSGI app in one thread of its own, so that the server's thread can stop waiting at a deadline: :class:`Pump`.

PEP 3333, "Buffering and Streaming", names a second thread as a way for middleware to keep blocks moving. The thread
calls the app, takes one block for each :meth:`Pump.pull` (never one ahead) and calls ``close()``, so the app sees one
thread and the context variables of the request. ``driver.py`` moves the blocks on.

A blocked app cannot be interrupted. When its response is closed during a pull, the thread is left behind, named after
the request and counted by :func:`stuck`; it closes the iterable as soon as the app gives its next block.
"""

from __future__ import annotations

import contextvars
import os
import queue
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

#: The most threads of pumps in one process: a choice, far above the threads that a WSGI server is usually given. Apps
#: that never come back from a block after their readers left can use them up.
MOST_THREADS = 512

#: How many responses of this process had no pump because :data:`MOST_THREADS` were in use.
refused: Counter[str] = Counter()

_stuck: set[int] = set()
_alive: set[int] = set()


def stuck() -> int:
    """Return how many closed responses have an app that has not come back from its last block."""
    return len(_stuck)


def alive() -> int:
    """Return how many pumps have a thread in this process."""
    return len(_alive)


def _forget_threads() -> None:
    _stuck.clear()
    _alive.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)  # threads do not survive a fork


class Step(Enum):
    """What a pull brings."""

    RETURNED = "the app returned its iterable"
    BLOCK = "one block"
    WRITTEN = "one block, by write()"
    EXHAUSTED = "no more blocks"
    RAISED = "an exception"
    CLOSED = "the iterable is closed"


# Module constants, because reading an enumeration's member costs 60 ns on CPython 3.11.
RETURNED, BLOCK, WRITTEN, EXHAUSTED, RAISED, CLOSED = Step


class Pulled(NamedTuple):
    """What a pull brought: a block of bytes, the app's iterable (``RETURNED``), or an exception."""

    step: Step
    value: Any = None


class _Closed(BaseException):
    """Raised in an app that writes after its response was closed."""


def greenlets() -> bool:
    """Return whether gevent or eventlet replace threads. A pump is then cheap, and their number is not limited."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent is not None and gevent.is_module_patched("threading"))
        or (eventlet is not None and eventlet.is_monkey_patched("thread"))
    )


class Pump:
    """Run ``call``, the app with all its arguments except ``write``, in a thread called ``name``.

    The first pull calls the app. Neither side spins: both wait in a queue.
    """

    def __init__(self, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], name: str) -> None:
        # A SimpleQueue is C and would block a hub that left queues unpatched; queue.Queue uses the patched locks.
        kind: Any = queue.Queue if greenlets() else queue.SimpleQueue
        self._orders, self._brought = kind(), kind()
        #: A pull is under way and has brought nothing yet.
        self.pulling = False
        self._closed = False
        run = contextvars.copy_context().run
        work = _Work(call, self._orders, self._brought)
        thread = threading.Thread(target=run, args=(work.run,), name=f"streamproof-pump {name}", daemon=True)
        _alive.add(id(self._brought))
        try:
            thread.start()
        except BaseException:
            _alive.discard(id(self._brought))
            self._closed = True
            raise

    @classmethod
    def start(cls, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], name: str) -> Pump | None:
        """Start a pump. Return None if :data:`MOST_THREADS` are in use, and count that in :data:`refused`."""
        if len(_alive) >= MOST_THREADS and not greenlets():
            refused["pump"] += 1
            return None
        return cls(call, name)

    def pull(self, timeout: float | None) -> Pulled | None:
        """Return the next thing; None after ``timeout`` seconds (None: no limit), and then a later pull returns it."""
        if not self.pulling:
            self.pulling = True
            self._orders.put(True)
        try:
            pulled: Pulled = self._brought.get(True, timeout)
        except queue.Empty:
            return None
        self.pulling = False
        return pulled

    def close(self) -> None:
        """Let the thread close the iterable and end. Raises what ``close()`` raised, unless a pull was under way."""
        if self._closed:
            return
        self._closed = True
        if self.pulling:
            _stuck.add(id(self._brought))
            self._orders.put(False)
            return
        self._orders.put(False)
        error = self._brought.get().value
        if error is not None:
            raise error

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._orders.put(False)


class _Work:
    """The work of the thread. It has no reference to its pump, so a pump that is dropped can end it."""

    def __init__(self, call: Callable[[Callable[[bytes], object]], Iterable[bytes]], orders: Any, brought: Any) -> None:
        self._call, self._orders, self._brought = call, orders, brought
        self._closed = False
        self._close: Callable[[], object] | None = None

    def run(self) -> None:
        """Serve pulls until the order to close comes."""
        error: BaseException | None = None
        try:
            if self._orders.get():
                self._serve()
        except _Closed:
            pass
        try:
            if self._close is not None:
                self._close()
        except BaseException as raised:
            error = raised
        finally:
            self._close = None
            _stuck.discard(id(self._brought))
            _alive.discard(id(self._brought))
            self._brought.put(Pulled(CLOSED, error))
            error = None

    def _serve(self) -> None:
        hand = self._hand
        try:
            body = self._call(self._write)
            # Read before the server sees the body: it may get this very object, whose close() then leads back here.
            self._close = getattr(body, "close", None)
            if not hand(Pulled(RETURNED, body)):
                return
            for block in body:
                if not hand(Pulled(BLOCK, block)):
                    return
        except _Closed:
            raise
        except BaseException as error:
            hand(Pulled(RAISED, error))
        while not self._closed:
            hand(Pulled(EXHAUSTED))

    def _hand(self, pulled: Pulled) -> bool:
        """Hand over what was pulled and wait for the next order. Return False if the order is to close."""
        self._brought.put(pulled)
        self._closed = not self._orders.get()
        return not self._closed

    def _write(self, data: bytes) -> None:
        if self._closed or not self._hand(Pulled(WRITTEN, data)):
            raise _Closed
