"""Record WSGI bodies that are there at once: lists, tuples, sized iterables and the server's file wrapper.

None of them streams, so each is recorded as one chunk. Each keeps what servers look at: gevent's pywsgi iterates a
sized body twice, Granian writes a list in one go, gunicorn and waitress send files. Streams are in ``bodies.py``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from ...sansio.http import content_length, has_body
from ...sansio.outcome import decide
from ...sansio.stats import size_of
from ..recording import Recording, clock


def close_recorded(close: Callable[[], object] | None, recording: Recording, *, at_once: bool = False) -> None:
    """Call the app's ``close`` and export the recording. Raises what ``close`` raised.

    ``at_once``: the body was there when the app returned it, so only an exception of the server shows that it was not
    sent.
    """
    server_error = sys.exc_info()[1]
    whole = recording.exhausted_at is not None
    try:
        if close is not None:
            close()
    except BaseException as error:
        if whole and not recording.exported:
            recording.set_outcome(decide("complete", error=error))
        raise
    finally:
        at = clock() if at_once else None
        if whole and not (at_once and server_error is not None):
            recording.finish("complete", at=at)
        else:
            recording.finish("closed", error=server_error, at=at)


class _Whole:
    """A body that is there at once: one chunk, as soon as the app returns it."""

    _recording: Recording

    def begin(self, recording: Recording) -> Any:
        """Record the chunk; return this object."""
        blocks: Iterable[bytes] = self  # type: ignore[assignment]
        self._recording = recording
        data = b"".join(filter(size_of, blocks)) if recording.recorder.keeps else None
        _one_chunk(recording, sum(map(size_of, blocks)), data)
        return self

    def close(self) -> None:
        """Export the recording. Granian never calls this for a list, which exports it when it is collected."""
        close_recorded(None, self._recording, at_once=True)


class RecordedList(_Whole, list[bytes]):
    """A list for servers that look for one (granian writes it in one go)."""


class RecordedTuple(_Whole, tuple[bytes, ...]):
    """A tuple with ``close()``."""


class SizedBody:
    """An iterable that has a length and may be iterated again (gevent's pywsgi counts the bytes first)."""

    def __init__(self, iterable: Any, recording: Recording) -> None:
        self._iterable, self._recording = iterable, recording
        self._seen: list[float] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._iterable)

    def __iter__(self) -> Iterator[bytes]:
        return _count(self._iterable, self._recording, self._seen)

    def close(self) -> None:
        """Close the app's iterable, once, and export the recording."""
        if self._closed:
            return
        self._closed = True
        if self._seen:
            produced, size = self._seen
            self._recording.recorder.chunk(produced, int(size), produced)
        close_recorded(getattr(self._iterable, "close", None), self._recording)


def _count(iterable: Iterable[bytes], recording: Recording, seen: list[float]) -> Iterator[bytes]:
    recording.exhausted_at = None
    seen[:] = ()
    try:
        for block in iterable:
            if not seen:
                seen[:] = (clock(), 0)
            seen[1] += size_of(block)
            yield block
    except GeneratorExit:
        raise
    except BaseException as error:
        recording.app_raised(error)
        raise
    recording.exhausted_at = clock()


class _FileClose:
    """The ``close`` of a recorded file wrapper. Bytes sent by sendfile never pass here."""

    def __init__(self, close: Callable[[], object] | None, recording: Recording) -> None:
        self._close, self._recording = close, recording
        self._closed = False

    def __call__(self) -> None:
        close, self._close = self._close, None
        if not self._closed:
            self._closed = True
            close_recorded(close, self._recording, at_once=True)


def recorded_file(result: Any, recording: Recording) -> Any:
    """Give the server's own file wrapper a ``close`` that exports the recording. Return the same object."""
    closing = _FileClose(getattr(result, "close", None), recording)
    head = recording.recorder.head
    size = None if head is None else content_length(head.headers)
    _one_chunk(recording, _file_size(result) if size is None else size)
    try:
        result.close = closing
    except AttributeError:
        recording.finish("complete")
    return result


def _file_size(wrapper: Any) -> int:
    for attribute in ("filelike", "file"):
        try:
            file: IO[bytes] = getattr(wrapper, attribute)
            return max(0, os.fstat(file.fileno()).st_size - file.tell())
        except (AttributeError, OSError, ValueError):
            continue
    return 0


def _one_chunk(recording: Recording, size: int, data: bytes | None = None) -> None:
    now = recording.exhausted_at = clock()
    head = recording.recorder.head
    if size and (head is None or has_body(recording.method, head.status)):
        recording.recorder.chunk(now, size, now, data)
