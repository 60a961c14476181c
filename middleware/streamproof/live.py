"""The streams that are open in this process: age, bytes, silence; and the filter that puts them on log records.

This module only reads: a recording belongs to the thread or task that serves it, so a number may be one chunk behind.
The cost is two dictionary operations a response. Streams of other processes are not listed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NamedTuple

from .adapters.recording import BudgetExceeded, Recording, clock, open_recordings
from .sansio.outcome import Ending
from .sansio.recorder import Phase, Recorder
from .sansio.trace import Outcome, Trace
from .sansio.untrusted import plain

_serving: ContextVar[Recorder | None] = ContextVar("streamproof", default=None)


class LiveStream(NamedTuple):
    """An open stream as of now. ``age`` and ``silence`` are in seconds; the silence begins with the request."""

    method: str
    target: str
    status: int | None
    age: float
    chunks: int
    bytes: int
    silence: float

    def __str__(self) -> str:
        return (
            f"{plain(self.method)} {plain(self.target)} age={self.age:.3f} chunks={self.chunks} bytes={self.bytes} "
            f"silence={self.silence:.3f}"
        )


class LiveStreams:
    """The open streams of the apps that are wrapped with it (``on_trace=``). Iterates them, the oldest first."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Recorder, str, str]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Any:
        now = clock()
        return (glance(recorder, now, method, target) for recorder, method, target in list(self._open.values()))

    def opened(self, recording: Recording) -> None:
        """A stream began, in this context. Its recording is not kept, so that it can be collected."""
        recorder = recording.recorder
        self._open[id(recorder)] = (recorder, recording.method, recording.target)
        _serving.set(recorder)

    def headed(self, recording: Recording) -> None:
        """It has a head, which is read on iteration."""

    def ended(self, recording: Recording, trace: Trace) -> None:
        """A stream ended."""
        self._open.pop(id(recording.recorder), None)

    def __call__(self, trace: Trace) -> None:
        """Ignore the trace of a stream that did not open here."""

    def ages(self) -> list[tuple[float, float]]:
        """Age and silence of each stream, in seconds."""
        return [(stream.age, stream.silence) for stream in self]


def glance(recorder: Recorder, now: float, method: str = "", target: str = "") -> LiveStream:
    """The stream of ``recorder`` as of ``now`` on the middlewares' clock."""
    running, head = recorder.running, recorder.head
    age = now - recorder.started_at
    return LiveStream(
        method,
        target,
        None if head is None else head.status,
        age,
        running.chunks,
        running.bytes,
        age - running.accepted_at,
    )


def set_all_outcomes(outcome: Outcome, by: str, reason: str) -> None:
    """Note how every open stream of this process is about to end."""
    for recording in open_recordings():
        recording.set_outcome(Ending(outcome, by, reason))


def end_all(outcome: Outcome, by: str, reason: str) -> int:
    """Export every open stream as ended; return how many there were. Their responses go on, unrecorded."""
    recordings = open_recordings()
    for recording in recordings:
        recording.set_outcome(Ending(outcome, by, reason))
        with suppress(BudgetExceeded):  # on_violation="raise" is for the stream's own thread
            recording.finish("closed")
    return len(recordings)


class StreamFilter(logging.Filter):
    """Puts ``record.stream`` on every log record, for formats such as ``%(stream)s``. Every record passes.

    While a stream is served, it is ``chunks=… bytes=… first_byte=… age=… silence=…``; otherwise ``-``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the field."""
        if not hasattr(record, "stream"):
            recorder = _serving.get()
            inside = recorder is not None and recorder.phase is not Phase.DONE
            record.stream = AccessField(recorder) if inside and recorder is not None else "-"
        return True


class AccessField:
    """The stats so far, as text when it is formatted: ``environ["streamproof"]`` for an access log."""

    __slots__ = ("_recorder",)

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __str__(self) -> str:
        recorder = self._recorder
        stream = glance(recorder, clock())
        first = recorder.running.first
        wait = "-" if first is None else f"{first:.3f}"
        return (
            f"chunks={stream.chunks} bytes={stream.bytes} first_byte={wait} "
            f"age={stream.age:.3f} silence={stream.silence:.3f}"
        )
