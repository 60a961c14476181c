"""What the streams of one event loop share: one timer for all deadlines, and when the loop last turned.

:func:`enter` makes it for the first stream of a loop; it ends with the last. With it the drivers let the loop turn when
an app never waits, and find apps that block the loop. Messages and machines are in ``outgoing.py`` and ``driver.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextvars import Context
from heapq import heappop, heappush
from math import ceil
from types import coroutine
from typing import Any, Protocol

from ...sansio.findings import Finding
from ..recording import clock, log

#: Ticks of the timer per second. A deadline a second or more away uses every eighth: up to 16 ms late, never early.
_TICKS = 512
_COARSE = 8

#: How often the loop turns while an app never waits, seconds.
TURN = 0.001
#: An app that works longer than this between two chunks, in seconds, lets the loop turn at each chunk: it may block for
#: much longer next, and Daphne writes only when the loop turns. Two turns take 6 microseconds.
WORK = 0.00002
#: How often an app that waits by itself is checked for blocking the loop, seconds.
SAMPLE = 0.05

_warned = False


def in_asyncio() -> bool:
    """Return whether asyncio runs this code. Hypercorn can run trio, and a policy needs timers and tasks."""
    global _warned
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not _warned:
            log.warning("A policy or a via needs asyncio, but another event loop runs this app. Both are left out.")
            _warned = True
        return False
    return True


@coroutine
def _two_turns() -> Generator[None, None, None]:
    # A server that writes when its socket is ready (Daphne) needs two: in the first the loop asks whether it is, and
    # what it then does comes after the tasks that were waiting already.
    yield
    yield


def blocked_loop(seconds: float, limit: float) -> Finding:
    """Return the finding that an app blocks its event loop."""
    text = f"the app kept the event loop from running for {seconds:.3f} s between two chunks"
    hint = "Does it sleep or compute in an async function? Every other reader waits meanwhile."
    return Finding("SP402", "blocked-loop", text, hint, seconds, limit)


class Timed(Protocol):
    """Something that has a deadline. ``tick`` begins as None; from then on the timer sets it."""

    tick: int | None

    def due(self, now: float) -> None:
        """React: the deadline that was set has come."""
        ...


class StreamLoop:
    """The timer and the turns of one event loop, shared by its streams."""

    __slots__ = (
        "_buckets",
        "_handle",
        "_handle_tick",
        "_loop",
        "_marks",
        "_streams",
        "_ticks",
        "last",
        "mark",
        "turned_at",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._streams = 0
        self._buckets: dict[int, set[Timed]] = {}
        self._ticks: list[int] = []  # a heap: the keys of the buckets
        self._handle: asyncio.TimerHandle | None = None
        self._handle_tick = 0
        self._marks = 0
        #: The number of the current turn, if :meth:`watch_turn` was called in it; 0 when the loop has turned since.
        self.mark = 0
        #: The task whose response last sent something.
        self.last: asyncio.Task[Any] | None = None
        #: When the loop last turned, as far as is known; seconds on :data:`~..recording.clock`.
        self.turned_at = float("-inf")

    # Deadlines.

    def set_timer(self, entry: Timed, at: float, now: float) -> None:
        """Call ``entry.due`` at ``at`` or a little later. Replaces what was set before."""
        tick = ceil(at * _TICKS)
        if at - now >= 1.0:
            tick = -(-tick // _COARSE) * _COARSE
        if tick == entry.tick:
            return
        self.drop_timer(entry)
        entry.tick = tick
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = set()
            heappush(self._ticks, tick)
        bucket.add(entry)
        if self._handle is None or tick < self._handle_tick:
            self._wait(now)

    def drop_timer(self, entry: Timed) -> None:
        """Forget what was set for ``entry``."""
        if entry.tick is not None:
            self._buckets.get(entry.tick, set()).discard(entry)
            entry.tick = None

    def _wait(self, now: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle_tick = self._ticks[0]
        delay = max(0.0, self._handle_tick / _TICKS - now)
        self._handle = self._loop.call_later(delay, self._fire, context=Context())

    def _fire(self) -> None:
        self._handle = None
        now = clock()
        while self._ticks and self._ticks[0] <= now * _TICKS:
            tick = heappop(self._ticks)
            for entry in self._buckets.pop(tick):
                if entry.tick == tick:  # else an earlier entry dropped it
                    entry.tick = None
                    entry.due(now)
        if self._ticks and self._handle is None:
            self._wait(now)

    # Turns.

    async def give_way(self) -> float:
        """Let everything else that is ready run, and the server write what it has. Return the time after that."""
        await _two_turns()
        self.turned_at = now = clock()
        return now

    def watch_turn(self) -> None:
        """Make :attr:`mark` name this turn, until the loop turns."""
        if not self.mark:
            self._marks += 1
            self.mark = self._marks
            self._loop.call_soon(self._turned, context=Context())

    def _turned(self) -> None:
        self.mark = 0
        self.turned_at = clock()

    # The streams.

    def enter(self) -> None:
        """Count one more stream."""
        self._streams += 1

    def leave(self, entry: Timed) -> None:
        """Count one stream less. The timer ends with the last one."""
        self.drop_timer(entry)
        self._streams -= 1
        if not self._streams:
            if self._handle is not None:
                self._handle.cancel()
            _loops.pop(self._loop, None)


_loops: dict[asyncio.AbstractEventLoop, StreamLoop] = {}


def enter() -> StreamLoop:
    """Return the running loop, with one more stream counted. :meth:`StreamLoop.leave` takes it back."""
    loop = asyncio.get_running_loop()
    found = _loops.get(loop)
    if found is None:
        for old in [old for old in _loops if old.is_closed()]:
            del _loops[old]
        found = _loops[loop] = StreamLoop(loop)
    found.enter()
    return found
