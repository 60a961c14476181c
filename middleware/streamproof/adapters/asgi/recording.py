"""Record a response through the ``receive`` and ``send`` of an ASGI server: :class:`Watched`, :func:`recorded`.

The messages are those of the ASGI specification, "HTTP & WebSocket ASGI Message Format". Each is passed on as the same
object (a head whose fields can be read only once gets a list of them). A message that cannot be read is passed on and
not recorded. How a stream ended is decided in ``sansio/outcome.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from asyncio import CancelledError
from collections.abc import Awaitable, Generator, MutableMapping
from time import perf_counter
from typing import Any

from ...sansio.http import Headers
from ...sansio.recorder import Recorder
from ...sansio.stats import RunningStats, size_of
from ...sansio.untrusted import redacted
from .. import compiled
from ..recording import UNREAD, Listeners, Recording, clock
from .scope import App, Message, Receive, Scope, Send, rereadable, target, texts, version_and_fields


def _mark(sender: Any) -> None:
    """Mark ``sender`` as a coroutine function for those who check, such as asgiref's ``async_to_sync``."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(sender)
    else:
        sender._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


if compiled.counting is not None:
    _mark(compiled.counting.Sender)


def begun(scope: Scope, keep_chunks: bool | int, listeners: Listeners, keep_data: bool = True) -> Recording:
    """Return a recording that begins now."""
    running = compiled.running_stats()
    recorder = Recorder(UNREAD, clock(), keep_chunks=keep_chunks, keep_data=keep_data, running=running)
    return _Recording(recorder, scope.get("method", "GET"), scope, listeners)


async def recorded(app: App, recording: Recording, scope: Scope, receive: Receive, send: Send) -> Any:
    """Call ``app`` and record its response. Return what the app returns."""
    watched = Watched(recording, receive, send)
    try:
        result = await app(scope, watched, watched.sender())
    except BaseException as error:
        await watched.raised(error)
        raise
    watched.returned()
    return result


class _Recording(Recording):
    __slots__ = ()

    @property
    def target(self) -> str:
        return target(self._request_source)

    def _version_and_fields(self) -> tuple[str, Headers]:
        return version_and_fields(self._request_source)


class _Encoded(tuple[tuple[bytes, bytes], ...]):
    """The fields of a head as they came. A call decodes them, so an open stream keeps no second copy."""

    __slots__ = ()

    def __call__(self) -> Headers:
        try:
            return redacted(texts(self))
        except (TypeError, ValueError):  # not pairs of bytes
            return ()


class Watched:
    """Record what passes a server's ``receive`` and ``send``.

    The object itself is the app's ``receive``; :meth:`sender` returns the app's ``send``. Sends may be concurrent: each
    has its own times.
    """

    __slots__ = ("_receive", "_recording", "_send", "_trailers")

    def __init__(self, recording: Recording, receive: Receive, send: Send) -> None:
        self._recording, self._receive, self._send = recording, receive, send
        self._trailers = False

    async def __call__(self) -> Message:
        """Return the server's next message. Only a disconnect is recorded."""
        message = await self._receive()
        if message.get("type") == "http.disconnect":
            self._recording.gone = True
        return message

    def sender(self) -> Send:
        """Return the app's ``send``: :meth:`send`, or a compiled one that does the same for plain pieces of a body."""
        recorder = self._recording.recorder
        if recorder.keeps or type(recorder.running) is RunningStats:
            return self.send
        given = None if clock is perf_counter else clock
        counted: Send = compiled.counting.Sender(self._send, recorder.running, recorder.started_at, self, given)
        return counted

    async def send(self, message: Message) -> None:
        """Pass ``message`` on to the server, and record it. It is read first: a middleware may change it later."""
        kind = size = body = None
        last = False
        try:
            kind = message["type"]
            if kind == "http.response.body":
                body, last = message.get("body", b""), not message.get("more_body", False)
                size = len(body) if type(body) is bytes else size_of(body)
            elif kind == "http.response.pathsend":
                size, last = _path_size(message.get("path")), True
            elif kind == "http.response.zerocopysend":
                size, last = _whole(message.get("count")), not message.get("more_body", False)
            elif kind == "http.response.trailers":
                last = not message.get("more_trailers", False)
        except Exception:  # not an ASGI message, but the server may understand it
            kind = size = None
        if size is None:
            await self._other(kind, last, message)
            return
        recording = self._recording
        recorder = recording.recorder
        data = bytes(body) if body is not None and size and recorder.keeps else None
        # Read before the send: hypercorn gives http.disconnect while it sends the last message.
        produced, gone = clock(), recording.gone
        try:
            await self._send(message)
        except BaseException as error:
            self.refused(error)
            recorder.chunk(produced, size, None, data)
            raise
        now = clock()
        recorder.chunk(produced, size, now, data)
        if last:
            recording.exhausted_at = now
            if not self._trailers:
                recording.finish("complete", reader_gone=gone)

    async def _other(self, kind: object, last: bool, message: Message) -> None:
        """Pass on a message without bytes of the body. ``last``: the last of the trailers."""
        recording = self._recording
        if kind == "http.response.start":
            message, status, fields, self._trailers = _head(message)
            await self._passed(message)
            if status is not None:
                recording.head(status, fields)
        elif kind == "http.response.trailers":
            gone = recording.gone
            await self._passed(message)
            if last and recording.exhausted_at is not None:
                recording.finish("complete", reader_gone=gone)
        else:
            await self._passed(message)

    async def _passed(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            self.refused(error)
            raise

    async def raised(self, error: BaseException) -> None:
        """Record that the app raised ``error`` or was canceled. Waits only for what ``receive`` does when canceled."""
        recording = self._recording
        try:
            if isinstance(error, CancelledError) and not recording.exported and not recording.gone:
                recording.gone = await _disconnected(self._receive)  # servers cancel the task of a reader who left
        finally:
            recording.finish("raised", error=error)

    def returned(self) -> None:
        """Record that the app returned."""
        self._recording.finish("returned")

    def refused(self, error: BaseException) -> None:
        """Record that the server raised ``error`` instead of taking a message."""
        if isinstance(error, OSError):
            self._recording.gone = True

    @staticmethod
    async def awaited(awaitable: Awaitable[object]) -> None:
        """Await ``awaitable`` in a coroutine, the only awaitable that the compiled code can drive."""
        await awaitable


def _head(message: Message) -> tuple[Message, int | None, _Encoded, bool]:
    """Return ``message`` with fields that can be read twice, its status, its fields, and whether trailers follow.

    The status is None, and there are no fields, if they cannot be read.
    """
    status, fields, trailers = None, _Encoded(), False
    try:
        status, trailers = message.get("status"), bool(message.get("trailers", False))
        message = rereadable(message)
        fields = _Encoded(message.get("headers", ()))
    except Exception:  # the server may understand it
        pass
    return message, status if isinstance(status, int) else None, fields, trailers


async def _disconnected(receive: Receive) -> bool:
    """Return whether ``receive`` gives http.disconnect at once. Called after the app has ended: it loses no message."""
    for _ in range(16):  # pieces of a request body that the app did not read
        message = await _AtOnce(receive)
        if not isinstance(message, MutableMapping):
            return False
        if message.get("type") != "http.request":
            return message.get("type") == "http.disconnect"
    return False


class _AtOnce:
    """Awaited, this gives what ``receive`` gives at once, or None.

    A ``receive`` that has to wait is cancelled as its task would be, and may finish: Starlette's BaseHTTPMiddleware
    passes down a ``receive`` that holds a task group, and dropping it half-way breaks the task that entered the group.
    """

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            waiting: Any = self._receive().__await__()
            next(waiting)
        except StopIteration as answer:
            return answer.value
        except (Exception, CancelledError):
            return None
        if not hasattr(waiting, "throw"):
            return None
        try:
            given = waiting.throw(CancelledError())
            while True:
                try:
                    got = yield given
                except BaseException as error:
                    given = waiting.throw(error)
                else:
                    given = waiting.send(got)
        except (Exception, CancelledError):  # StopIteration, too: it returned only because it was cancelled
            return None


def _path_size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, TypeError):
        return 0


def _whole(count: object) -> int:
    return count if isinstance(count, int) else 0
