"""The ``receive`` and ``send`` of an ASGI server under record, and how its stream ended.

Knows the messages of the ASGI specification, "HTTP & WebSocket ASGI Message Format", and passes each on as the object
it is (a head whose fields can be read only once: with a list of them). Does not know hops. How a
stream ended is decided in ``sansio/outcome.py``.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from asyncio import CancelledError
from collections.abc import Generator, MutableMapping
from time import perf_counter
from typing import Any

from ...sansio.http import Headers
from ...sansio.recorder import Recorder
from ...sansio.stats import RunningStats
from .. import compiled
from ..recording import UNREAD, Listeners, Recording, clock, redacted
from .scope import App, Message, Receive, Scope, Send, rereadable, target, texts, version_and_fields


def _mark(sender: Any) -> None:
    """Have what asks whether a callable gives coroutines, as asgiref's ``async_to_sync`` does, take it for one."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(sender)
    else:
        sender._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


if compiled.counting is not None:
    _mark(compiled.counting.Sender)


def begun(scope: Scope, keep_chunks: bool | int, listeners: Listeners) -> Recording:
    """A recording that begins now."""
    recorder = Recorder(UNREAD, clock(), keep_chunks=keep_chunks, sums=compiled.sums())
    return _Recording(recorder, scope.get("method", "GET"), scope, listeners)


async def recorded(app: App, recording: Recording, scope: Scope, receive: Receive, send: Send) -> Any:
    """Call ``app`` under record; gives what it returns."""
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
    """The fields of a head as they came; called, they are text: an open stream keeps no copy."""

    __slots__ = ()

    def __call__(self) -> Headers:
        return redacted(texts(self))


class Watched:
    """A server's ``receive`` and ``send`` under record: the app's ``receive`` itself, its ``send`` by :meth:`sender`.

    Concurrent sends are fine: each has its own times.
    """

    __slots__ = ("_receive", "_recording", "_send", "_trailers")

    def __init__(self, recording: Recording, receive: Receive, send: Send) -> None:
        self._recording, self._receive, self._send = recording, receive, send
        self._trailers = False

    async def __call__(self) -> Message:
        """The server's next message; only a disconnect is noted."""
        message = await self._receive()
        if message.get("type") == "http.disconnect":
            self._recording.gone = True
        return message

    def sender(self) -> Send:
        """The ``send`` for the app."""
        recorder = self._recording.recorder
        if recorder.keeps:
            return self.other
        running, start = recorder.running, recorder.started_at
        if isinstance(running, RunningStats):
            return self._counting(running, start)
        counted: Send = compiled.counting.Sender(
            self._send, running, start, self, None if clock is perf_counter else clock
        )
        return counted

    def _counting(self, running: RunningStats, start: float) -> Send:
        """The same in Python: pieces of the body are counted in variables of its own, which costs least."""
        recorder, inner, other, refused = self._recording.recorder, self._send, self.other, self.refused
        chunks = size = empty = 0
        last = accepted = waited = longest = limit = quiet = 0.0
        begun = False

        async def send(message: Message) -> None:
            nonlocal chunks, size, empty, last, accepted, waited, longest, limit, quiet, begun
            try:
                # Read now: a middleware downstream may change the message in place.
                more, length = message["more_body"], len(message["body"])
            except (KeyError, TypeError):
                return await other(message)
            if not more:
                return await other(message)
            produced = clock()
            try:
                await inner(message)
            except BaseException as error:
                refused(error, produced, length, None)
                raise
            now = clock()
            if not begun:
                running.add(produced - start, length, now - start)
                begun = bool(length)
            elif not length:
                empty += 1
                return None
            else:
                gap = produced - last
                if gap > limit or produced - accepted > quiet:
                    limit, quiet = running.notice(gap, produced - accepted, accepted - start)
                wait = now - produced
                waited += wait
                if wait > longest:
                    longest = wait
                chunks += 1
                size += length
            last = produced
            accepted = now
            return None

        def settle() -> None:
            nonlocal chunks, size, empty, waited
            running.settle(chunks, size, empty, last - start, accepted - start, waited, longest)
            chunks = size = empty = 0
            waited = 0.0

        recorder.settle = settle
        if self._recording.watched:
            recorder.look = lambda: (chunks, size, accepted) if begun else None
        return send

    async def other(self, message: Message) -> None:
        """Any message but a plain piece of the body."""
        recording, kind = self._recording, message.get("type")
        recorder = recording.recorder
        if kind == "http.response.start":
            message = rereadable(message)
            status, headers = message.get("status", 0), _Encoded(message.get("headers", ()))
            self._trailers = bool(message.get("trailers", False))
            try:
                await self._send(message)
            except OSError:
                recording.gone = True
                raise
            recording.head(status, headers)
            return
        last = False
        size, data = 0, None
        if kind == "http.response.body":
            body, last = message.get("body", b""), not message.get("more_body", False)
            size = memoryview(body).nbytes if not isinstance(body, bytes) else len(body)
            data = bytes(body) if recorder.keeps else None
        elif kind == "http.response.pathsend":
            size, last = _path_size(message.get("path")), True
        elif kind == "http.response.zerocopysend":
            size, last = int(message.get("count") or 0), not message.get("more_body", False)
        elif kind == "http.response.trailers":
            gone = recording.gone
            await self._passed(message)
            if not message.get("more_trailers", False) and recording.exhausted_at is not None:
                recording.finish("complete", reader_gone=gone)
            return
        else:
            await self._passed(message)
            return
        # Before: hypercorn says http.disconnect while it sends the last message.
        produced, gone = clock(), recording.gone
        try:
            await self._send(message)
        except BaseException as error:
            self.refused(error, produced, size, data)
            raise
        now = clock()
        if not recording.exported:
            recorder.chunk(produced, size, now, data)
        if last:
            recording.exhausted_at = now
            if not self._trailers:
                recording.finish("complete", reader_gone=gone)

    async def _passed(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._recording.gone = True
            raise

    async def raised(self, error: BaseException) -> None:
        """The app raised ``error``, or was canceled. Waits for nothing but what ``receive`` does when canceled."""
        recording = self._recording
        try:
            if isinstance(error, CancelledError) and not recording.exported and not recording.gone:
                recording.gone = await _disconnected(self._receive)  # servers cancel the task of a reader who left
        finally:
            recording.finish("raised", error=error)

    def returned(self) -> None:
        """The app returned."""
        self._recording.finish("returned")

    def refused(self, error: BaseException, produced: float, size: int, data: bytes | None) -> None:
        if isinstance(error, OSError):
            self._recording.gone = True
        if not self._recording.exported:
            self._recording.recorder.chunk(produced, size, None, data)


async def _disconnected(receive: Receive) -> bool:
    """Does ``receive`` offer http.disconnect at once? Asked when the app is over, so that no message is missed."""
    for _ in range(16):  # pieces of a request body that the app did not read
        message = await _AtOnce(receive)
        if not isinstance(message, MutableMapping):
            return False
        if message.get("type") != "http.request":
            return message.get("type") == "http.disconnect"
    return False


class _AtOnce:
    """Awaited, what ``receive`` gives at once, else None.

    One that has to wait is cancelled as its task would be, and let finish: Starlette's BaseHTTPMiddleware hands down a
    ``receive`` that holds a task group, and one that is dropped half-way breaks the task it was entered in.
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
        except (Exception, CancelledError):  # StopIteration too: what it gave when it was cancelled, not at once
            return None


def _path_size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, TypeError):
        return 0
