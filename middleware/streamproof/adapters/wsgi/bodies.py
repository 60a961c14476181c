"""Record a WSGI body: :func:`recorded` returns a stand-in with the same blocks and shape that closes the app's once.

Servers look at the shape before they choose the framing: ``len()``, ``list``, a second iteration, their own file
wrapper. Each stand-in keeps it. Bodies that do not stream are in ``buffered_bodies.py``; how a stream ended is decided
in ``sansio/outcome.py``.
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
    """Return whether a server looks at this very object, so that nothing may replace it.

    That is a file wrapper, anything with a length, and what cannot be iterated (gevent's ALREADY_HANDLED).
    """
    if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
        return True
    kind = type(result)
    return hasattr(kind, "__len__") or not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"))


def at_once(result: Any, file_wrapper: object) -> bool:
    """Return whether the whole body is there when the app returns it, by its shape or Django's ``streaming``."""
    return is_looked_at(result, file_wrapper) or getattr(result, "streaming", None) is False


def recorded(result: Any, recording: Recording, file_wrapper: object) -> Any:
    """Return the recorded body for the server, in place of the app's ``result``."""
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
    """A recorded stream. The server iterates the inner generator, so this class costs nothing per block."""

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
        """Return any other attribute of the app's iterable. Django's is its response, which tests look at."""
        return getattr(self.__dict__.get("_iterable"), name)

    def __bytes__(self) -> bytes:
        return bytes(self._iterable if self._iterable is not None else b"")  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the app's iterable, once, and export the recording."""
        iterable, self._iterable = self._iterable, None
        if iterable is None:
            return
        if self._blocks is not None:
            _stop(self._blocks)
        close_recorded(getattr(iterable, "close", None), self._recording)


def _compiled(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    """Do the same as :func:`_counted` with the compiled iterator."""
    try:
        blocks = iter(iterable)
    except BaseException as error:
        recording.app_raised(error)
        raise
    recorder, given = recording.recorder, None if clock is perf_counter else clock
    counted: Iterator[bytes] = compiled.counting.Blocks(blocks, recorder.running, recorder.started_at, recording, given)
    return counted


def _counted(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    """Yield the blocks of ``iterable``. Each is counted when the server asks for the next."""
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
    with suppress(ValueError):  # closed from another thread while it runs, so there is no current chunk
        blocks.close()  # type: ignore[attr-defined]
