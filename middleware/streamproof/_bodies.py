"""The iterables that stand in for an app's own while it is recorded (WSGI): same blocks, same shape, ``close()`` once.

Knows what servers look at before they choose the framing: ``len()``, ``list``, a second iteration, the server's own
file wrapper. Each shape keeps what they look at. Does not know heads, nor hops.

How a stream ended, in this order:

1. what was known before (:meth:`~._telling.Recording.judge`): the app raised, a hop cut it;
2. all blocks were taken: complete. If the app's ``close()`` raised then: app_error, and it is raised on;
3. closed earlier, the server being in an exception: SystemExit and its like as :func:`~._telling.stopped` says,
   a TypeError, ValueError or AssertionError: app_error (the server refused a block), any other: client_gone;
4. closed earlier without one: complete when the response has no body (HEAD, 1xx, 204, 304) or Content-Length is
   reached, client_gone otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from werkzeug.wsgi import ClosingIterator

from ._telling import Recording, clock, stopped
from .sansio.http import content_length, has_body
from .sansio.trace import Outcome


def recorded(result: Any, recording: Recording, file_wrapper: object) -> Any:
    """What to hand the server in place of ``result``, the app's return value."""
    if isinstance(file_wrapper, type) and isinstance(result, file_wrapper):
        return _file(result, recording)
    if type(result) is list:
        return RecordedList(result)._begin(recording)
    if type(result) is tuple:
        return RecordedTuple(result)._begin(recording)
    kind = type(result)
    # gevent's ALREADY_HANDLED cannot be iterated; uWSGI's file wrapper is a function that returns the file itself.
    if not hasattr(kind, "__iter__" if not hasattr(kind, "__getitem__") else "__getitem__") or (
        file_wrapper is not None and not isinstance(file_wrapper, type) and hasattr(kind, "read")
    ):
        recording.exhausted_at = clock()
        recording.end(Outcome.COMPLETE)
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
            record = _record_kept if self._recording.recorder.keeps else _record
            self._blocks = record(() if self._iterable is None else self._iterable, self._recording)
        return self._blocks

    def __next__(self) -> bytes:
        return next(iter(self))

    def close(self) -> None:
        """Close the app's iterable, once, and tell the trace."""
        iterable, self._iterable = self._iterable, None
        if iterable is None:
            return
        if self._blocks is not None:
            _stop(self._blocks)
        _close(getattr(iterable, "close", None), self._recording)


def _record(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    count, start = recording.recorder.count, recording.recorder.started_at
    try:
        for block in iterable:
            produced = clock() - start
            yield block
            count(produced, len(block), clock() - start)
    except GeneratorExit:
        count(produced, len(block), None)
        raise
    except BaseException as error:
        _failed(recording, error)
        raise
    recording.exhausted_at = clock()


def _record_kept(iterable: Iterable[bytes], recording: Recording) -> Iterator[bytes]:
    chunk = recording.recorder.chunk
    try:
        for block in iterable:
            produced = clock()
            yield block
            chunk(produced, len(block), clock(), bytes(block))
    except GeneratorExit:
        chunk(produced, len(block), None, bytes(block))
        raise
    except BaseException as error:
        _failed(recording, error)
        raise
    recording.exhausted_at = clock()


def _failed(recording: Recording, error: BaseException) -> None:
    if recording.gone:
        recording.judge(Outcome.CLIENT_GONE)
    elif isinstance(error, Exception):
        recording.judge(Outcome.APP_ERROR, None, type(error).__name__)
    else:
        recording.judge(*stopped(error))


def _stop(blocks: Iterator[bytes]) -> None:
    try:
        blocks.close()  # type: ignore[attr-defined]
    except ValueError:
        pass  # it is running: closed from another thread, and its chunk is not at hand
    except TypeError:
        pass  # the block at hand was no bytes: the server has refused it already


def _close(close: Callable[[], object] | None, recording: Recording) -> None:
    raised = sys.exc_info()[1]
    early = recording.exhausted_at is None
    try:
        if close is not None:
            close()
    except BaseException as error:
        if not early:
            recording.judge(Outcome.APP_ERROR, None, f"close() raised {type(error).__name__}")
        raise
    finally:
        recording.end(*(closed_early(recording, raised) if early else (Outcome.COMPLETE, None, None)))


def closed_early(recording: Recording, raised: BaseException | None) -> tuple[Outcome, str | None, str | None]:
    """How a stream ended that the server closed before its last block, ``raised`` being on its way there."""
    if raised is not None and not isinstance(raised, Exception | GeneratorExit):
        return stopped(raised)
    if isinstance(raised, TypeError | ValueError | AssertionError):
        return Outcome.APP_ERROR, None, type(raised).__name__
    trace = recording.recorder
    if raised is None and not recording.gone and (head := trace.head) is not None:
        length = content_length(head.headers)
        if not has_body(recording.method, head.status):
            return Outcome.COMPLETE, None, None
        if length is not None and trace.figures(clock()).bytes >= length:
            return Outcome.COMPLETE, None, None
    return Outcome.CLIENT_GONE, None, None


class _Whole:
    """A body that is there at once: one chunk, as soon as the app returns it."""

    _recording: Recording

    def _begin(self, recording: Recording) -> Any:
        blocks: Iterable[bytes] = self  # type: ignore[assignment]
        self._recording = recording
        data = b"".join(blocks) if recording.recorder.keeps else None
        _one_chunk(recording, sum(map(len, blocks)), data)
        return self

    def close(self) -> None:
        """Tell the trace. Granian never calls it for a list: it is then told when the list is collected."""
        _close_whole(None, self._recording)


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
        """Close the app's iterable, once, and tell the trace."""
        if self._closed:
            return
        self._closed = True
        if self._seen:
            produced, size = self._seen
            self._recording.recorder.chunk(produced, int(size), produced)
        _close(getattr(self._iterable, "close", None), self._recording)


def _count(iterable: Iterable[bytes], recording: Recording, seen: list[float]) -> Iterator[bytes]:
    recording.exhausted_at = None
    seen[:] = ()
    try:
        for block in iterable:
            if not seen:
                seen[:] = (clock(), 0)
            seen[1] += len(block)
            yield block
    except GeneratorExit:
        raise
    except BaseException as error:
        _failed(recording, error)
        raise
    recording.exhausted_at = clock()


class _FileClose:
    """The ``close`` of a file wrapper under record. Bytes sent by sendfile never pass here."""

    def __init__(self, close: Callable[[], object] | None, recording: Recording) -> None:
        self._close, self._recording = close, recording
        self._closed = False

    def __call__(self) -> None:
        close, self._close = self._close, None
        if not self._closed:
            self._closed = True
            _close_whole(close, self._recording)


def _file(result: Any, recording: Recording) -> Any:
    """The server's own file wrapper, with a ``close`` that tells: as an attribute, so it stays the very object."""
    closing = _FileClose(getattr(result, "close", None), recording)
    head = recording.recorder.head
    size = None if head is None else content_length(head.headers)
    _one_chunk(recording, _file_size(result) if size is None else size)
    try:
        result.close = closing
    except AttributeError:
        recording.end(Outcome.COMPLETE)
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


def _close_whole(close: Callable[[], object] | None, recording: Recording) -> None:
    raised = sys.exc_info()[1]
    try:
        if close is not None:
            close()
    except BaseException as error:
        if not recording.told:
            recording.judge(Outcome.APP_ERROR, None, f"close() raised {type(error).__name__}")
        raise
    finally:
        if raised is None:
            recording.end(Outcome.COMPLETE, at=clock())
        else:
            recording.end(*closed_early(recording, raised), at=clock())
