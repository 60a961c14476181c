"""Export finished recordings to the listeners, without harm to a response: :class:`Recording`, :class:`Listeners`.

A recording is exported once. A listener that raises is logged once and dropped. Both middlewares use this file; what
reads their messages is in ``wsgi/bodies.py`` and ``asgi/recording.py``.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from ..sansio.errors import ConfigurationError, StreamProofError
from ..sansio.findings import Finding
from ..sansio.http import Headers
from ..sansio.outcome import COMPLETE, NOT_CLOSED, Ending, Event, decide, has_received_all
from ..sansio.recorder import Recorder
from ..sansio.trace import Request, Trace
from ..sansio.untrusted import redacted

Listener: TypeAlias = Callable[[Trace], object]

#: The one clock of both middlewares, seconds.
clock = time.perf_counter

log = logging.getLogger("streamproof")

#: The key of environ and scope for the name of an exception that a policy reported to the reader in the stream.
FAILED = "streamproof.failed"

#: The request of an open recording: a placeholder until the recording is exported.
UNREAD = Request()


#: The open recordings of this process by id, weakly, so that an abandoned one can still be collected.
_open: dict[int, weakref.ref[Recording]] = {}
os.register_at_fork(after_in_child=_open.clear)


def open_recordings() -> list[Recording]:
    """Return every recording of this process that has not ended."""
    found = [reference() for reference in list(_open.values())]  # the copy is one step: no thread comes in between
    return [recording for recording in found if recording is not None]


class BudgetExceeded(StreamProofError):
    """A stream overran its budget, and ``on_violation`` has ``"raise"``. ``findings`` say how."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = tuple(findings)


class Listeners:
    """The listeners of one middleware. False if there are none left.

    If a listener has ``opened(recording)``, that is called when a response begins, in the thread or task that serves
    it, ``headed(recording)`` when it has a head, and at the end ``ended(recording, trace)`` in place of the listener
    itself.

    Whatever a listener raises is kept from the response: SystemExit, KeyboardInterrupt and gevent's Timeout, too. A
    Ctrl-C that arrives while a listener runs in the main thread looks the same. It drops the listener, is logged with
    its traceback, and the process goes on: press it again.
    """

    def __init__(self, on_trace: Listener | Iterable[Listener]) -> None:
        """Keep ``on_trace``. Raises ConfigurationError if one of them cannot be called."""
        self._listeners: Sequence[Listener] = (on_trace,) if callable(on_trace) else tuple(on_trace)
        for listener in self._listeners:
            if not callable(listener):
                raise ConfigurationError(
                    f"on_trace has {listener!r}. Expected a callable that takes a Trace. Are the parentheses of a "
                    "call too many, or too few?"
                )
        self._watchers: Sequence[Any] = tuple(each for each in self._listeners if hasattr(each, "opened"))

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def opened(self, recording: Recording) -> None:
        """Call ``opened`` of the listeners that have it."""
        for listener in self._watchers:
            try:
                listener.opened(recording)
            except BaseException:
                self._drop(listener)

    def headed(self, recording: Recording) -> None:
        """Call ``headed`` of the listeners that have it."""
        for listener in self._watchers:
            try:
                listener.headed(recording)
            except BaseException:
                self._drop(listener)

    def export(self, recording: Recording, trace: Trace) -> None:
        """Export ``trace`` to each listener. Drop a listener that raises."""
        for listener in self._listeners:
            try:
                if listener in self._watchers:
                    listener.ended(recording, trace)  # type: ignore[attr-defined]
                else:
                    listener(trace)
            except BudgetExceeded:
                raise  # only a BudgetWatch raises this, on request
            except BaseException:
                self._drop(listener)

    def _drop(self, listener: Listener) -> None:
        self._listeners = tuple(other for other in self._listeners if other is not listener)
        self._watchers = tuple(other for other in self._watchers if other is not listener)
        with suppress(BaseException):  # a log handler or a repr of the application may raise, too
            log.exception("The trace listener %r raised and was dropped. Responses are not affected.", listener)


class Recording:
    """The recording of one open response. It is exported once, as soon as it is known how the stream ended.

    ``exhausted_at`` is when the app had handed over its last chunk (seconds on :data:`clock`). ``gone`` says that the
    reader was seen to leave. The first ending given to :meth:`set_outcome` stays, whatever :meth:`finish` is called
    with.

    Each middleware has a subclass, which reads the request from environ or scope at the end, so that an open recording
    keeps no copy.
    """

    __slots__ = (
        *("_request_source", "_listeners", "_ending", "exhausted_at", "gone", "method", "recorder", "route"),
        "collected",
        "__weakref__",
    )

    def __init__(self, recorder: Recorder, method: str, request_source: Any, listeners: Listeners) -> None:
        self.recorder, self.method, self._request_source = recorder, method, request_source
        self.exhausted_at: float | None = None
        self.gone = False
        self.route: Any = None  # set by a listener: frameworks forget the route before the stream ends
        self._ending: Ending | None = None
        self._listeners: Listeners | None = listeners
        _open[id(self)] = weakref.ref(self)
        if listeners._watchers:
            listeners.opened(self)

    @property
    def target(self) -> str:
        """The request target."""
        raise NotImplementedError

    def _version_and_fields(self) -> tuple[str, Headers]:
        raise NotImplementedError

    @property
    def watched(self) -> bool:
        """Whether a listener watches it while it is open."""
        return self._listeners is not None and bool(self._listeners._watchers)

    @property
    def request_source(self) -> Any:
        """The environ or scope of the request."""
        return self._request_source

    @property
    def exported(self) -> bool:
        """Whether it has ended and was exported."""
        return self._listeners is None

    def head(self, status: int, headers: Headers | Callable[[], Headers]) -> None:
        """Record the head that the app named. A callable must return fields that are :func:`redacted`."""
        self.recorder.proposed(status, headers if callable(headers) else redacted(headers), clock())
        if self._listeners is not None and self._listeners._watchers:
            self._listeners.headed(self)

    def set_outcome(self, ending: Ending) -> None:
        """Set how it ended, or will end. Only the first call counts."""
        if self._ending is None:
            self._ending = ending

    def app_raised(self, error: BaseException) -> None:
        """Record that the app raised ``error`` instead of giving a chunk."""
        self.set_outcome(decide("raised", reader_gone=self.gone, error=error))

    @property
    def received_all(self) -> bool:
        """Whether the reader has received everything, according to the head."""
        return has_received_all(self.method, self.recorder.head, self.recorder.stats(clock()).bytes)

    def finish(
        self,
        event: Event,
        *,
        error: BaseException | None = None,
        reader_gone: bool | None = None,
        at: float | None = None,
    ) -> None:
        """Export it; ``event`` is what happened last (:func:`~..sansio.outcome.decide`). Only the first call counts.

        ``at`` is when it ended, seconds on :data:`clock`; by default when the app handed over its last chunk.
        """
        listeners, self._listeners = self._listeners, None
        if listeners is None:
            return
        _open.pop(id(self), None)
        ending = decide(
            event,
            known=self._ending,
            reader_gone=self.gone if reader_gone is None else reader_gone,
            error=error,
            received_all=event in ("closed", "collected") and self.received_all,
            reported_failure=self._request_source.get(FAILED),
        )
        version, headers = self._version_and_fields()
        self.recorder.request = Request(self.method, self.target, version, redacted(headers))
        now = at or self.exhausted_at or clock()
        trace = self.recorder.ended(ending.outcome, now, by=ending.by, reason=ending.reason)
        listeners.export(self, trace)

    def __del__(self) -> None:
        if self._listeners is not None:
            if self.exhausted_at is not None:  # a body of one chunk may be a list, which has nothing to close
                self.set_outcome(NOT_CLOSED if self.recorder.stats(clock()).chunks > 1 else COMPLETE)
            self.collected = True
            self.finish("collected")
