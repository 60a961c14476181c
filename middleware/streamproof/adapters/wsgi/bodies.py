"""The iterables that stand in for an app's own while it is recorded (WSGI): same blocks, same shape, ``close()`` once.

Knows what servers look at before they choose the framing: ``len()``, ``list``, a second iteration, the server's own
file wrapper. Each shape keeps what they look at; those that do not stream are in ``buffered_bodies.py``,
how a stream ended is decided in ``sansio/outcome.py``. Does not know heads, nor hops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter
from types import GeneratorType
from typing import Any

from werkzeug.wsgi import ClosingIterator

from ...sansio.stats import RunningStats, size_of
from .. import compiled
from ..recording import Recording, clock
from .buffered_bodies import RecordedList, RecordedTuple, SizedBody, close_recorded, recorded_file


def is_looked_at(result: Any, file_wrapper: object) -> bool:
    """Does a server look at this very object, so that nothing may stand in for it?

    A file wrapper, whatever has a length, and what cannot be iterated (gevent's ALREADY_HANDLED).
    """
    if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
        return True
    kind = type(result)
    return hasattr(kind, "__len__") or not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"))


def at_once(result: Any, file_wrapper: object) -> bool:
    """Is all of the body there when the app returns it? Then it is not a stream (Django's ``streaming`` says so)."""
    return is_looked_at(result, file_wrapper) or getattr(result, "streaming", None) is False


def recorded(result: Any, recording: Recording, file_wrapper: object) -> Any:
    """What to hand the server in place of ``result``, the app's return value."""
    if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
        return recorded_file(result, recording)
    if type(result) is list:
        return RecordedList(result).begin(recording)
    if type(result) is tuple:
        return RecordedTuple(result).begin(recording)
    kind = type(result)
    if kind is GeneratorType:
        return RecordedBody(result, recording)
    # gevent's ALREADY_HANDLED cannot be iterated; uWSGI's file wrapper is a function that returns the file itself.
    if not hasattr(kind, "__iter__" if not hasattr(kind, "__getitem__") else "__getitem__") or (
        file_wrapper is not None and not isinstance(file_wrapper, type) and hasattr(kind, "read")
    ):
        recording.exhausted_at = clock()
        recording.finish("complete")
        return result
    if hasattr(kind, "__len__"):
        return SizedBody(result, recording)
    return RecordedBody(result, recording)


class RecordedBody(ClosingIterator):
    """A streamed body. The server iterates the inner generator, so this class costs nothing per block."""

    # The base's __init__ would call iter() before the server does.
    def __init__(self, iterable: Iterable[bytes], recording: Recording) -> None:
        self._iterable: Iterable[bytes] | None = iterable
        self._recording = recording
        self._blocks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        if self._blocks is None:
            recording = self._recording
            recorder = recording.recorder
            counted = _counted if recorder.keeps or type(recorder.running) is RunningStats else _compiled
            self._blocks = counted(() if self._iterable is None else self._iterable, recording)
        return self._blocks

    def __next__(self) -> bytes:
        return next(iter(self))

    def __getattr__(self, name: str) -> Any:
        """Whatever else the app's iterable has: Django's is its response, and tests look at it."""
        return getattr(self.__dict__.get("_iterable"), name)

    def __bytes__(self) -> bytes:
        return bytes(self._iterable if self._iterable is not None else b"")  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the app's iterable, once, and tell the trace."""
        iterable, self._iterable = self._iterable, None
        if iterable is None:
            return
        if self._blocks is not None:
            _stop(self._blocks)
        close_recorded(getattr(iterable, "close", None), self._recording)


def _compiled(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    """As :func:`_counted`, by an iterator that was compiled."""
    try:
        blocks = iter(iterable)
    except BaseException as error:
        recording.app_raised(error)
        raise
    recorder, given = recording.recorder, None if clock is perf_counter else clock
    counted: Iterator[bytes] = compiled.counting.Blocks(blocks, recorder.running, recorder.started_at, recording, given)
    return counted


def _counted(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    """The blocks of ``iterable``, each counted when the server asks for the next."""
    chunk = recording.recorder.chunk
    produced, block = 0.0, b""
    try:
        for block in iterable:
            produced = clock()
            yield block
            chunk(produced, len(block) if type(block) is bytes else size_of(block), clock(), block)
    except GeneratorExit:
        chunk(produced, size_of(block), None, block)
        raise
    except BaseException as error:
        recording.app_raised(error)
        raise
    recording.exhausted_at = clock()


def _stop(blocks: Iterator[bytes]) -> None:
    with suppress(ValueError):  # it is running: closed from another thread, and its chunk is not at hand
        blocks.close()  # type: ignore[attr-defined]
