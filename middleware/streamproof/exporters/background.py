"""Takes telling off the response's path: :class:`Background` queues each trace, one thread hands it to the exporters.

What happens to a trace:

1. it is put into a queue of limited length, or dropped and counted when the queue is full; without exporters, nowhere;
2. the thread of this process hands it to each exporter, at most :data:`TOGETHER` seconds later and with all others that
   came meanwhile: to wake a thread for each would take the interpreter's lock from the streams each time;
3. an exporter that raises is logged once, counted, and tried again with the next trace; that it works again is logged,
   too.

So a dead collector, a full disk or an exporter that never returns costs a response what a queue costs. The thread is
made by the first trace, so never before a fork. A process that is killed takes with it what it had not told.

Knows nothing of what the exporters do.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import queue
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..sansio.trace import Outcome, Trace
from . import Exporter

log = logging.getLogger("streamproof")

#: Seconds that traces are collected before they are told: what people still take for at once (Nielsen, "Response Times:
#: The 3 Important Limits"). A quarter of the queue's limit ends the wait.
TOGETHER = 0.1
#: Seconds of telling after which the thread lets the streams go on: a fifth of CPython's switch interval.
TURN = 0.001


class _Told(NamedTuple):
    trace: Trace
    route: Callable[[], str | None] | str | None


class Background:
    """An ``on_trace`` that never waits.

    ``faults`` counts by exporter's name how often it raised, ``dropped`` how many traces found the queue full.
    ``streams_only``: tell only responses of more than one chunk, or that did not end clean.
    """

    def __init__(self, exporters: Mapping[str, Exporter], *, limit: int = 1000, streams_only: bool = False) -> None:
        self.faults: Counter[str] = Counter()
        self.dropped = 0
        self._exporters = dict(exporters)
        self._limit = limit
        self._streams_only = streams_only
        self._failing: set[str] = set()
        self._process = 0
        self._queue: queue.SimpleQueue[_Told | threading.Event] | None = None
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        _at_exit(self)

    def use(self, exporters: Mapping[str, Exporter]) -> None:
        """Hand over to these from now on."""
        self._exporters = dict(exporters)

    def __repr__(self) -> str:
        return f"<Background {', '.join(self._exporters) or 'nobody'}>"

    def __call__(self, trace: Trace, *, route: Callable[[], str | None] | str | None = None) -> None:
        """Queue ``trace``; a callable ``route`` is asked on the thread."""
        if not self._exporters or (self._streams_only and not is_stream(trace)):
            return
        waiting = self._queue
        if waiting is None or self._process != os.getpid():
            waiting = self._start()
        size = waiting.qsize()
        if size * 4 >= self._limit and not self._hurry.is_set():
            self._hurry.set()
        if size >= self._limit:
            self.dropped += 1
            if self.dropped == 1:
                log.error(
                    "%d traces wait for the exporters, so this one is dropped, and others will be. Is %s stuck?",
                    self._limit,
                    " or ".join(self._exporters),
                )
            return
        waiting.put(_Told(trace, route))

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most ``timeout`` seconds until what is queued now has been told; was it?"""
        waiting = self._queue
        if waiting is None or self._process != os.getpid():
            return True
        done = threading.Event()
        waiting.put(done)
        self._hurry.set()
        told = done.wait(timeout)
        for name, exporter in self._exporters.items():
            if (flush := getattr(exporter, "flush", None)) is not None:
                self.guarded(name, flush)
        return told

    def _start(self) -> queue.SimpleQueue[_Told | threading.Event]:
        with self._starting:
            if self._queue is None or self._process != os.getpid():
                self._queue, self._hurry = queue.SimpleQueue(), threading.Event()
                self._process = os.getpid()
                work = threading.Thread(target=_work, args=(weakref.ref(self), self._queue, self._hurry), daemon=True)
                work.name = "streamproof-exporters"
                work.start()
            return self._queue

    def _hand_over(self, told: _Told) -> None:
        route = told.route
        if callable(route):
            try:
                route = route()
            except Exception:
                self._fault("route")
                route = None
        for name, exporter in self._exporters.items():
            self.guarded(name, lambda exporter=exporter: exporter(told.trace, route=route))  # type: ignore[misc]

    def guarded(self, name: str, act: Callable[[], object]) -> None:
        """Call ``act`` for the exporter ``name``; that it raises is logged once and counted."""
        try:
            act()
        except Exception:
            self._fault(name)
        else:
            if name in self._failing:
                self._failing.discard(name)
                log.warning("The exporter %s works again, after %d faults.", name, self.faults[name])

    def _fault(self, name: str) -> None:
        self.faults[name] += 1
        if name not in self._failing:
            self._failing.add(name)
            log.exception("The exporter %s raised. Responses are not affected; it is tried again, silently.", name)


def is_stream(trace: Trace) -> bool:
    """Did the app produce more than one chunk, or the response not end clean?"""
    return trace.outcome is not Outcome.COMPLETE or trace.stats.chunks > 1


def _work(
    owner: weakref.ref[Background], waiting: queue.SimpleQueue[_Told | threading.Event], hurry: threading.Event
) -> None:
    while True:
        item: _Told | threading.Event | None = waiting.get()
        hurry.wait(TOGETHER)
        hurry.clear()
        background, turn = owner(), time.monotonic()
        while item is not None:
            if isinstance(item, threading.Event):
                item.set()
            elif background is None:
                return
            else:
                background._hand_over(item)
            if time.monotonic() - turn > TURN:
                time.sleep(0)
                turn = time.monotonic()
            item = None if waiting.empty() else waiting.get()  # nobody else takes from it
        del background


def _at_exit(background: Background) -> None:
    reference = weakref.ref(background)

    def flush() -> None:
        if (alive := reference()) is not None:
            alive.flush(1.0)

    at_process_end(flush)


def at_process_end(call: Callable[[], object]) -> None:
    """Have ``call`` made when this process ends; the last to be registered is first.

    The children of :mod:`multiprocessing`, which servers use for their workers, leave :mod:`atexit` out.
    """
    if (multiprocessing := sys.modules.get("multiprocessing.util")) and sys.modules["multiprocessing"].parent_process():
        multiprocessing.Finalize(None, call, exitpriority=next(_later))
    else:
        atexit.register(call)


_later = itertools.count()
