"""Virtual time: a clock that only moves when somebody sleeps, for WSGI apps and for asyncio loops.

It replaces ``time.sleep`` and the clocks of :mod:`time`, as attributes of the module. These keep real time: other
threads, C code, ``threading`` and ``queue`` timeouts, subprocesses, sockets, the standard library's own waits, and
names that a module took with ``from time import sleep`` (name that module in ``also``). For trio there is
``trio.testing.MockClock(autojump_threshold=0)``; async tests that own their loop can use :class:`VirtualLoop` or the
looptime package. The transports take the time from whichever runs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from selectors import BaseSelector, SelectorKey
from types import FunctionType, ModuleType
from typing import Any

from ..sansio.errors import StreamProofError

#: Virtual seconds after which a test counts as endless: a day.
LIMIT = 86400.0
#: Real seconds that a loop waits for a thread to wake it when nothing else can.
IDLE_LIMIT = 30.0


class ClockError(StreamProofError, AssertionError):
    """Virtual time ran out, or nothing could move it."""


class VirtualClock:
    """A clock that moves only by :meth:`advance`. It starts at ``start`` and may go ``limit`` further; seconds."""

    def __init__(self, start: float = 0.0, *, limit: float = LIMIT) -> None:
        self.start, self.limit = start, limit
        self.now = start

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.now - self.start:.3f} s>"

    def time(self) -> float:
        """The time now, seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. Raises ClockError past the limit, and ValueError below 0, as ``time.sleep`` does."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if self.now + seconds - self.start > self.limit:
            raise ClockError(
                f"Virtual time ran past {self.limit:g} s. Expected the test to end before. "
                "Does the app sleep in an endless loop that the reader does not read from?"
            )
        self.now += seconds


_REAL: dict[str, Callable[..., Any]] = {
    name: getattr(time, name)
    for name in (
        "sleep",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "time",
        "time_ns",
    )
}
_active: dict[int, VirtualClock] = {}
_lock = threading.Lock()


def current() -> VirtualClock | None:
    """Return the stepped clock of this thread; None if time is real here."""
    return _active.get(threading.get_ident())


def now() -> float:
    """Return monotonic seconds, from this thread's stepped clock if there is one."""
    clock = current()
    return float(_REAL["monotonic"]()) if clock is None else clock.now


def sleep_until(when: float) -> None:
    """Move this thread's stepped clock on to ``when``; if time is real, wait for it."""
    clock = current()
    if clock is None:
        _REAL["sleep"](max(when - _REAL["monotonic"](), 0.0))
    else:
        clock.advance(max(when - clock.now, 0.0))


class SteppedClock(VirtualClock):
    """A virtual clock that stands in for :mod:`time` in this thread while :func:`stepped` runs.

    ``slept`` holds the durations of all sleeps, seconds.
    """

    def __init__(self, start: float | None = None, *, limit: float = LIMIT) -> None:
        super().__init__(_REAL["monotonic"]() if start is None else start, limit=limit)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """The replacement of ``time.sleep``."""
        self.slept.append(seconds)
        self.advance(seconds)


def _clock_of_caller() -> VirtualClock | None:
    clock = _active.get(threading.get_ident())
    if clock is None:
        return None
    module = sys._getframe(2).f_globals.get("__name__", "")
    # The standard library's waits are real (locks, sockets, loops): a virtual now would make them wait for ever.
    return None if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__" else clock


def _sleep(seconds: float) -> None:
    clock = _clock_of_caller()
    if isinstance(clock, SteppedClock):
        clock.sleep(seconds)
    else:
        _REAL["sleep"](seconds)


def _reading(name: str) -> Callable[[], float]:
    real = _REAL[name]
    scale = 1_000_000_000 if name.endswith("_ns") else 1

    def read() -> float:
        clock = _clock_of_caller()
        if clock is None:
            return real()  # type: ignore[no-any-return]
        offset = _offset(name, clock)
        return int((offset + clock.now) * scale) if scale > 1 else offset + clock.now

    read.__name__ = name
    return read


_EPOCH = _REAL["time"]() - _REAL["monotonic"]()


def _offset(name: str, clock: VirtualClock) -> float:
    return _EPOCH if name.startswith("time") else 0.0


_FAKES: dict[str, Callable[..., Any]] = {"sleep": _sleep, **{name: _reading(name) for name in _REAL if name != "sleep"}}


@contextmanager
def stepped(*, also: Sequence[ModuleType | FunctionType] = (), limit: float = LIMIT) -> Iterator[SteppedClock]:
    """Run this thread's ``time.sleep``, ``monotonic``, ``perf_counter`` and ``time`` on a stepped clock in the block.

    Other threads keep real time. Undone at the end of the block whatever happens; blocks of several threads may
    overlap. Raises RuntimeError when this thread has one already.

    Args:
        also: Modules (or functions, for their module) that took these names with ``from time import …``.
        limit: Virtual seconds after which ClockError is raised.
    """
    thread, clock = threading.get_ident(), SteppedClock(limit=limit)
    if thread in _active:
        raise RuntimeError(
            "This thread's clock is stepped already. Expected one at a time. Was the fixture used twice?"
        )
    with ExitStack() as undo:
        with _lock:
            _active[thread] = clock
            undo.callback(_leave, thread)
            for name, fake in _FAKES.items():
                setattr(time, name, fake)
        for owner in also:
            _replace_in(owner.__globals__ if isinstance(owner, FunctionType) else vars(owner), undo)
        yield clock


def _leave(thread: int) -> None:
    with _lock:
        _active.pop(thread, None)
        if not _active:
            for name, real in _REAL.items():
                setattr(time, name, real)


def _replace_in(names: dict[str, Any], undo: ExitStack) -> None:
    for key, value in tuple(names.items()):
        for name, real in _REAL.items():
            if value is real:
                names[key] = _FAKES[name]
                undo.callback(names.__setitem__, key, value)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time jumps to the next timer as soon as nothing else is to be done.

    Threads that work for the loop (``to_thread``, sync generators in a thread pool) are not seen: time may jump while
    they run. When nothing is scheduled and nothing comes from outside for ``IDLE_LIMIT`` real seconds it raises
    ClockError, since nothing ever will.
    """

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__()
        self.clock = clock or VirtualClock()
        selector: BaseSelector = self._selector  # type: ignore[attr-defined]
        self._real_select = selector.select
        selector.select = self._select  # type: ignore[method-assign]

    def time(self) -> float:
        """The virtual time, seconds."""
        return self.clock.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the loop's threads in real time: asyncio's own limit, in virtual time, would be over at once."""
        await super().shutdown_default_executor()

    def _select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = self._real_select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.clock.advance(timeout)
            return ready
        ready = self._real_select(IDLE_LIMIT)
        if not ready:
            raise ClockError(
                f"Nothing is scheduled and nothing came for {IDLE_LIMIT:g} real seconds. Expected a timer, a task or a "
                "thread that goes on. Does the app wait for something that no clock brings?"
            )
        return ready


def is_virtual() -> bool:
    """Return whether the time that the transports see here passes without waiting."""
    if current() is not None:
        return True
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        if trio is None or not trio.lowlevel.in_trio_run():
            return False
        return type(trio.lowlevel.current_clock()).__name__ == "MockClock"
    return isinstance(loop, VirtualLoop) or bool(getattr(loop, "looptime_on", False))
