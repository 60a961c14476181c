"""Export finished traces in a background thread: :class:`Background` queues each, one thread calls the exporters.

What happens to a trace:

1. An exporter with ``count_trace`` counts it at once (``counting.py``), so metrics are exact whatever follows.
2. It is put into a queue of limited length. If the queue is full, it is dropped and counted. If the chunks in the queue
   take more than :data:`MOST_WAITING` bytes, it goes on with its statistics only.
3. The thread of this process passes it to each exporter, at most :data:`BATCH` seconds later, together with all others
   that came meanwhile: waking a thread for each would take the interpreter's lock from the streams each time.
4. If an exporter raises anything at all, that is logged once and counted, and the exporter is called again for the next
   trace. Its recovery is logged, too.

So a dead collector, a full disk or an exporter that never returns costs a response no more than the queue does. The
first trace starts the thread, so it is never started before a fork. Traces in the queue are lost if the process is
killed.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import queue
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from ..sansio.trace import Outcome, Trace
from . import Exporter
from .counting import Counting
from .forks import renew_in_children

log = logging.getLogger("streamproof")

#: Seconds that traces are collected before they are exported; people perceive a tenth of a second as instant (Nielsen,
#: "Response Times: The 3 Important Limits"). A queue that is a quarter full ends the wait.
BATCH = 0.1
#: Seconds of exporting after which the thread yields to the streams: a fifth of CPython's switch interval.
YIELD_AFTER = 0.001
#: Bytes that the chunks of waiting traces may take.
MOST_WAITING = 32 * 1024 * 1024
#: Bytes of a chunk without its data, on CPython with 64 bits: a tuple, two times and a size.
_CHUNK = 200

Route = Callable[[], str | None] | str | None


class _Queued(NamedTuple):
    trace: Trace
    route: Route
    size: int


class Background:
    """An ``on_trace`` that never waits.

    ``faults`` counts how often each exporter raised, by its name; ``dropped`` counts the traces that found the queue
    full. With ``streams_only``, only responses of more than one chunk or with an unclean end are exported.
    """

    def __init__(self, exporters: Mapping[str, Exporter], *, limit: int = 1000, streams_only: bool = False) -> None:
        self.faults: Counter[str] = Counter()
        self.dropped = 0
        self._dropped_before = 0
        #: Runs what may neither be lost nor wait.
        self.counting = Counting()
        self.use(exporters)
        self._limit = limit
        self._streams_only = streams_only
        self._failing: set[str] = set()
        renew_in_children(self)
        _at_exit(self)

    def renew(self) -> None:
        """Leave queue and thread to the parent process."""
        self._queue: queue.SimpleQueue[_Queued | threading.Event] | None = None
        self._hurry = threading.Event()
        # Reentrant: a garbage collection in a locked line may end an abandoned stream, which comes here again.
        self._lock = threading.RLock()
        self._waiting = 0  # bytes of chunks

    def use(self, exporters: Mapping[str, Exporter]) -> None:
        """Call these exporters from now on."""
        counters: dict[str, Any] = {}
        queued: dict[str, Any] = {}
        for name, exporter in exporters.items():
            if (count := getattr(exporter, "count_trace", None)) is None:
                queued[name] = exporter
            else:
                counters[name] = count
                if (export := getattr(exporter, "export_trace", None)) is not None:
                    queued[name] = export
        self._exporters, self._counters, self._queued = dict(exporters), counters, queued

    def __repr__(self) -> str:
        return f"<Background {', '.join(self._exporters) or 'no exporters'}>"

    def __call__(self, trace: Trace, *, route: Route = None, collected: bool = False) -> None:
        """Count and queue ``trace``. A callable ``route`` is called on the thread, or before the trace is counted.

        ``collected``: the garbage collector ended it, perhaps in the middle of an exporter, so the thread counts it.
        """
        if not self._exporters or (self._streams_only and not is_stream(trace)):
            return
        if self._counters:
            if callable(route) and not collected:
                route = self._found(route)
            self.counting.add(partial(self._count, trace, route))
        if self._queued or collected:
            self._put(trace, route)
        if not collected:
            self.counting.run()

    def _put(self, trace: Trace, route: Route) -> None:
        waiting = self._queue or self._start()
        if waiting is None:
            return
        length = waiting.qsize()
        if length * 4 >= self._limit and not self._hurry.is_set():
            self._hurry.set()
        if length >= self._limit:
            self._drop()
            return
        size = 0
        if trace.chunks:
            size = sum(_CHUNK + len(chunk.data or b"") for chunk in trace.chunks)
            with self._lock:
                fits = self._waiting + size <= MOST_WAITING
                self._waiting += size if fits else 0
            if not fits:
                trace, size = replace(trace, chunks=(), recorded=trace.stats), 0
        waiting.put(_Queued(trace, route, size))

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1
            count = self.dropped
        if str(count).strip("0") == "1":  # 1, 10, 100 and so on
            _log(
                log.error,
                "%d traces wait for the exporters, so others are dropped: %d so far. Is %s stuck?",
                self._limit,
                count,
                " or ".join(self._queued),
            )

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most ``timeout`` seconds for the export of what is queued now. Was all of it exported?"""
        self.counting.run()
        waiting = self._queue
        if waiting is None:
            return True
        done = threading.Event()
        waiting.put(done)
        self._hurry.set()
        exported = done.wait(timeout)
        for name, exporter in self._exporters.items():
            if (flush := getattr(exporter, "flush", None)) is not None:
                self.guarded(name, flush)
        return exported

    def _start(self) -> queue.SimpleQueue[_Queued | threading.Event] | None:
        with self._lock:
            if self._queue is None:
                if sys.is_finalizing():  # CPython 3.11 would wait here for ever for a thread that cannot start
                    return None
                started: queue.SimpleQueue[_Queued | threading.Event] = queue.SimpleQueue()
                work = threading.Thread(target=_work, args=(weakref.ref(self), started, self._hurry), daemon=True)
                work.name = "streamproof-exporters"
                try:
                    work.start()
                except RuntimeError:  # no more threads: the next trace tries again
                    self._fault("thread")
                    self._drop()
                    return None
                self._queue = started
            return self._queue

    def _found(self, route: Callable[[], str | None]) -> str | None:
        try:
            return route()
        except BaseException:
            self._fault("route")
            return None

    def _count(self, trace: Trace, route: Route) -> None:
        found = self._found(route) if callable(route) else route
        for name, count in self._counters.items():
            self.guarded(name, count, trace, route=found)

    def _export(self, queued: _Queued) -> None:
        route = self._found(queued.route) if callable(queued.route) else queued.route
        if queued.size:
            with self._lock:
                self._waiting -= queued.size
        for name, export in self._queued.items():
            self.guarded(name, export, queued.trace, route=route)

    def guarded(self, name: str, act: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Call ``act`` for the exporter ``name``. If it raises, that is logged once and counted.

        That holds for SystemExit, KeyboardInterrupt and gevent's Timeout, too. One that comes from outside, as a Ctrl-C
        while :meth:`flush` runs in the main thread, cannot be told apart: it ends this call, and is logged.
        """
        try:
            act(*arguments, **options)
        except BaseException:
            self._fault(name)
        else:
            if name in self._failing:
                self._failing.discard(name)
                _log(log.warning, "The exporter %s works again, after %d faults.", name, self.faults[name])

    def _fault(self, name: str) -> None:
        self.faults[name] += 1
        if name not in self._failing:
            self._failing.add(name)
            _log(
                log.exception,
                "The exporter %s raised. Responses are not affected. Further faults of it are only counted.",
                name,
            )

    def _caught_up(self) -> None:
        self.counting.run()
        if self.dropped > self._dropped_before:
            lost, self._dropped_before = self.dropped - self._dropped_before, self.dropped
            _log(log.warning, "The exporters' queue has room again. %d traces were dropped.", lost)


def _log(write: Callable[..., object], text: str, *arguments: object) -> None:
    with suppress(BaseException):  # a log handler of the application may raise, too
        write(text, *arguments)


def is_stream(trace: Trace) -> bool:
    """Did the app produce more than one chunk, or did the response end unclean?"""
    return trace.outcome is not Outcome.COMPLETE or trace.stats.chunks > 1


def _work(
    owner: weakref.ref[Background], waiting: queue.SimpleQueue[_Queued | threading.Event], hurry: threading.Event
) -> None:
    while True:
        item: _Queued | threading.Event | None = waiting.get()
        hurry.wait(BATCH)
        hurry.clear()
        background, turn = owner(), time.monotonic()
        while item is not None:
            if isinstance(item, threading.Event):
                if background is not None:
                    background._caught_up()
                item.set()
            elif background is None:
                return
            else:
                background._export(item)
            if time.monotonic() - turn > YIELD_AFTER:
                time.sleep(0)
                turn = time.monotonic()
            item = None if waiting.empty() else waiting.get()  # nobody else takes from it
        if background is not None:
            background._caught_up()
        del background


def _at_exit(background: Background) -> None:
    reference = weakref.ref(background)

    def flush() -> None:
        if (alive := reference()) is not None:
            alive.flush(1.0)

    at_process_end(flush)


def at_process_end(call: Callable[[], object]) -> None:
    """Register ``call`` for the end of this process. The last to be registered is called first.

    The children of :mod:`multiprocessing`, which servers use for their workers, skip :mod:`atexit`.
    """
    if (multiprocessing := sys.modules.get("multiprocessing.util")) and sys.modules["multiprocessing"].parent_process():
        multiprocessing.Finalize(None, call, exitpriority=next(_later))
    else:
        atexit.register(call)


_later = itertools.count()
