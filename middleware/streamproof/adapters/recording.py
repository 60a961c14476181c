"""Tells the finished recordings to whoever asked for them, so that telling can never hurt a response.

Knows a :class:`Recording` is told once, and that a listener which raises is logged once and dropped from then on.
Does not know what carried the stream; both middlewares use it.
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

#: Where a policy leaves the name of an exception that its reader was told of in the stream (environ, scope).
FAILED = "streamproof.failed"

#: Stands in a live recording for the request, which is read when the recording is told.
UNREAD = Request()


#: The open recordings of this process by id, weakly, so that an abandoned one can still be collected.
_open: dict[int, weakref.ref[Recording]] = {}
os.register_at_fork(after_in_child=_open.clear)


def open_recordings() -> list[Recording]:
    """Every recording of this process that has not ended."""
    found = [reference() for reference in list(_open.values())]  # the copy is one step: no thread comes in between
    return [recording for recording in found if recording is not None]


class BudgetExceeded(StreamProofError):
    """A stream overran its budget, and that was to be raised; ``findings`` say how."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = tuple(findings)


class Listeners:
    """Who is told. False when nobody is left to be told.

    A listener with ``opened(recording)`` hears of each response also when it begins, in the thread or task that serves
    it, with ``headed(recording)`` when it has a head, and at the end ``ended(recording, trace)`` is called in place of
    the listener itself.

    Whatever a listener raises is kept from the response: SystemExit, KeyboardInterrupt and gevent's Timeout, too. A
    Ctrl-C that arrives while a listener runs in the main thread cannot be told apart. It drops the listener, is logged
    with its traceback, and the process goes on: press it again.
    """

    def __init__(self, on_trace: Listener | Iterable[Listener]) -> None:
        """Raises ConfigurationError when one of ``on_trace`` cannot be called."""
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
        """Tell those who want to know that ``recording`` began."""
        for listener in self._watchers:
            try:
                listener.opened(recording)
            except BaseException:
                self._drop(listener)

    def headed(self, recording: Recording) -> None:
        """Tell them that ``recording`` has a head."""
        for listener in self._watchers:
            try:
                listener.headed(recording)
            except BaseException:
                self._drop(listener)

    def export(self, recording: Recording, trace: Trace) -> None:
        """Tell ``trace`` to each listener; drop the one that raises."""
        for listener in self._listeners:
            try:
                if listener in self._watchers:
                    listener.ended(recording, trace)  # type: ignore[attr-defined]
                else:
                    listener(trace)
            except BudgetExceeded:
                raise  # the one listener that is asked to
            except BaseException:
                self._drop(listener)

    def _drop(self, listener: Listener) -> None:
        self._listeners = tuple(other for other in self._listeners if other is not listener)
        self._watchers = tuple(other for other in self._watchers if other is not listener)
        with suppress(BaseException):  # a log handler or a repr of the application may raise, too
            log.exception("The trace listener %r raised and was dropped. Responses are not affected.", listener)


class Recording:
    """The recording of one response on its way: told once, as soon as it is known how the stream ended.

    ``exhausted_at`` is when the app had handed over its last chunk (seconds on :data:`clock`), ``gone`` that the reader
    was seen to leave. The first ending given with :meth:`set_outcome` stays, whatever :meth:`finish` is called with.

    Each middleware has its own kind, which reads the request from environ or scope at the end: an open one has no copy.
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
        self.route: Any = None  # what a listener found: frameworks forget it before the stream ends
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
        """Does anybody look at it while it is open?"""
        return self._listeners is not None and bool(self._listeners._watchers)

    @property
    def request_source(self) -> Any:
        """The environ or scope of the request."""
        return self._request_source

    @property
    def exported(self) -> bool:
        """Is it over?"""
        return self._listeners is None

    def head(self, status: int, headers: Headers | Callable[[], Headers]) -> None:
        """The app named its head; what a callable gives when the fields are read must be :func:`redacted`."""
        self.recorder.proposed(status, headers if callable(headers) else redacted(headers), clock())
        if self._listeners is not None and self._listeners._watchers:
            self._listeners.headed(self)

    def set_outcome(self, ending: Ending) -> None:
        """Note how it ended, or will end. The first ending that is noted counts."""
        if self._ending is None:
            self._ending = ending

    def app_raised(self, error: BaseException) -> None:
        """Note that the app raised ``error`` while it was asked for a chunk."""
        self.set_outcome(decide("raised", reader_gone=self.gone, error=error))

    @property
    def received_all(self) -> bool:
        """Has the reader all that this response has, as far as its head says?"""
        return has_received_all(self.method, self.recorder.head, self.recorder.stats(clock()).bytes)

    def finish(
        self,
        event: Event,
        *,
        error: BaseException | None = None,
        reader_gone: bool | None = None,
        at: float | None = None,
    ) -> None:
        """Export it: ``event`` happened last (:func:`~..sansio.outcome.decide`). Does nothing the second time.

        ``at`` is when it ended, seconds on :data:`clock`; by default when the app had handed over its last chunk.
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
