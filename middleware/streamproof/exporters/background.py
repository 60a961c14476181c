"""Export finished traces in a background thread: :class:`Background` queues each, one thread calls the exporters.

What happens to a trace:

1. It is put into a queue of limited length. If the queue is full, it is dropped and counted.
2. The thread of this process passes it to each exporter, at most :data:`BATCH` seconds later, together with all others
   that came meanwhile: waking a thread for each would take the interpreter's lock from the streams each time.
3. If an exporter raises, that is logged once and counted, and the exporter is called again for the next trace. Its
   recovery is logged, too.

So a dead collector, a full disk or an exporter that never returns costs a response no more than the queue does. The
first trace starts the thread, so it is never started before a fork. Traces in the queue are lost if the process is
killed.
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

#: Seconds that traces are collected before they are exported; people perceive a tenth of a second as instant (Nielsen,
#: "Response Times: The 3 Important Limits"). A queue that is a quarter full ends the wait.
BATCH = 0.1
#: Seconds of exporting after which the thread yields to the streams: a fifth of CPython's switch interval.
YIELD_AFTER = 0.001


class _Queued(NamedTuple):
    trace: Trace
    route: Callable[[], str | None] | str | None


class Background:
    """An ``on_trace`` that never waits.

    ``faults`` counts how often each exporter raised, by its name; ``dropped`` counts the traces that found the queue
    full. With ``streams_only``, only responses of more than one chunk or with an unclean end are exported.
    """

    def __init__(self, exporters: Mapping[str, Exporter], *, limit: int = 1000, streams_only: bool = False) -> None:
        self.faults: Counter[str] = Counter()
        self.dropped = 0
        self._exporters = dict(exporters)
        self._limit = limit
        self._streams_only = streams_only
        self._failing: set[str] = set()
        self._process = 0
        self._queue: queue.SimpleQueue[_Queued | threading.Event] | None = None
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        _at_exit(self)

    def use(self, exporters: Mapping[str, Exporter]) -> None:
        """Call these exporters from now on."""
        self._exporters = dict(exporters)

    def __repr__(self) -> str:
        return f"<Background {', '.join(self._exporters) or 'no exporters'}>"

    def __call__(self, trace: Trace, *, route: Callable[[], str | None] | str | None = None) -> None:
        """Queue ``trace``. A callable ``route`` is called on the thread."""
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
                    "%d traces wait for the exporters. This one is dropped, as others will be. Is %s stuck?",
                    self._limit,
                    " or ".join(self._exporters),
                )
            return
        waiting.put(_Queued(trace, route))

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most ``timeout`` seconds for the export of what is queued now. Was all of it exported?"""
        waiting = self._queue
        if waiting is None or self._process != os.getpid():
            return True
        done = threading.Event()
        waiting.put(done)
        self._hurry.set()
        exported = done.wait(timeout)
        for name, exporter in self._exporters.items():
            if (flush := getattr(exporter, "flush", None)) is not None:
                self.guarded(name, flush)
        return exported

    def _start(self) -> queue.SimpleQueue[_Queued | threading.Event]:
        with self._starting:
            if self._queue is None or self._process != os.getpid():
                self._queue, self._hurry = queue.SimpleQueue(), threading.Event()
                self._process = os.getpid()
                work = threading.Thread(target=_work, args=(weakref.ref(self), self._queue, self._hurry), daemon=True)
                work.name = "streamproof-exporters"
                work.start()
            return self._queue

    def _export(self, queued: _Queued) -> None:
        route = queued.route
        if callable(route):
            try:
                route = route()
            except Exception:
                self._fault("route")
                route = None
        for name, exporter in self._exporters.items():
            self.guarded(name, lambda exporter=exporter: exporter(queued.trace, route=route))  # type: ignore[misc]

    def guarded(self, name: str, act: Callable[[], object]) -> None:
        """Call ``act`` for the exporter ``name``. If it raises, that is logged once and counted."""
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
            log.exception(
                "The exporter %s raised. Responses are not affected. Further faults of it are only counted.",
                name,
            )


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
                item.set()
            elif background is None:
                return
            else:
                background._export(item)
            if time.monotonic() - turn > YIELD_AFTER:
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
    """Register ``call`` for the end of this process. The last to be registered is called first.

    The children of :mod:`multiprocessing`, which servers use for their workers, skip :mod:`atexit`.
    """
    if (multiprocessing := sys.modules.get("multiprocessing.util")) and sys.modules["multiprocessing"].parent_process():
        multiprocessing.Finalize(None, call, exitpriority=next(_later))
    else:
        atexit.register(call)


_later = itertools.count()
