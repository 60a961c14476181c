"""The ASGI middleware: records every HTTP response of an app, and puts hops between it and its server when asked to.

Knows the ASGI 3.0 specification, "HTTP & WebSocket ASGI Message Format". Scopes of another type (websocket, lifespan)
go to the app untouched. The hops are in ``_asgi_hops.py``. Without hops messages are passed on as the objects they
are, the scope too, and what the app returns is returned.

How a stream ended, in this order:

1. the last body message (or the trailers that it announced) was taken: complete, whatever the app does afterwards;
   client_gone when the app had been told ``http.disconnect`` before, for then servers drop messages silently;
2. a hop cut it: cut;
3. ``send`` raised OSError, or the app received ``http.disconnect``: client_gone;
4. the task was cancelled: client_gone when ``receive`` offers ``http.disconnect`` at once (servers cancel the task of a
   reader who left), else shutdown;
5. the app raised, or returned before it completed the response: app_error.
"""

from __future__ import annotations

import os
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from ._carry import compiled
from ._carry.telling import UNREAD, Listener, Listeners, Recording, clock, stopped
from ._carry.via import Route
from .sansio.http import Headers
from .sansio.recorder import Recorder
from .sansio.trace import Outcome, Request

if TYPE_CHECKING:
    from ._carry.budgets import OnViolation
    from .profiles import Profile, Via
    from .sansio.findings import Budget
    from .sansio.flush import FlushPolicy

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[Any]]


class StreamMiddleware:
    """Wraps an ASGI app.

    Args:
        app: the app, a single callable (ASGI 3.0; :func:`streamproof.wrap` converts an ASGI 2.0 one).
        via: hops to put between app and server, such as ``"nginx:gzip=on"``: they hold, cut and compress here what
            they would there. For development: one warning in the log says so. None leaves the messages alone.
        on_trace: one or more callables; each is given the :class:`~streamproof.Trace` of every response once it ended,
            in the event loop's thread, before background tasks. One that raises is logged once and dropped.
        keep_chunks: False keeps the figures only (constant memory), True each chunk with its bytes, a number the
            first so many.
        policy: what is done to streams (:class:`~streamproof.sansio.flush.FlushPolicy`); other responses pass as they
            are. A trace shows what left the policy. None does nothing.
        budget: what a stream may take (:class:`~streamproof.Budget`).
        on_violation: one or more of ``"log"``, ``"metric"``, ``"raise"`` (from where the stream ends) and callables
            ``(finding, trace)``, for streams that overran it.

    With none of ``policy`` and ``via`` and nobody to tell, a call is passed on to the app.

    Raises:
        ConfigurationError: ``via`` names no known profile or option, ``on_trace`` cannot be called, the policy names a
            coding that is not installed, or an option is of the wrong kind.
    """

    def __init__(
        self,
        app: App,
        *,
        via: str | Profile | Via | None = None,
        on_trace: Listener | Iterable[Listener] = (),
        keep_chunks: bool | int = False,
        policy: FlushPolicy | None = None,
        budget: Budget | None = None,
        on_violation: OnViolation = "log",
    ) -> None:
        self._app = app
        if policy is not None or budget is not None:
            from ._carry.asgi_flush import flushed
            from ._carry.budgets import enforced

            self._app, on_trace = enforced(app, flushed, policy, budget, on_violation, on_trace)
        self._listeners = Listeners(on_trace)
        self._keep_chunks = keep_chunks
        self._route = None if via is None else Route(via)

    # Exactly these parameters: uvicorn takes an app that can be called without any for a factory.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if scope.get("type") != "http" or not (self._listeners or self._route):
            return await self._app(scope, receive, send)
        if self._route is None:
            return await self._recorded(self._recording(scope), scope, receive, send)
        from ._carry.asgi_hops import through

        recording = self._recording(scope) if self._listeners else None
        app = self._app if recording is None else partial(self._recorded, recording)
        return await through(self._route, app, scope, receive, send, _request(scope), recording)

    def _recording(self, scope: Scope) -> Recording:
        recorder = Recorder(UNREAD, clock(), keep_chunks=self._keep_chunks)
        return Recording(
            recorder, scope.get("method", "GET"), _target(scope), scope, _version_and_fields, self._listeners
        )

    async def _recorded(self, recording: Recording, scope: Scope, receive: Receive, send: Send) -> Any:
        watched = _Watched(recording, receive, send)
        try:
            result = await self._app(scope, watched.receive, watched.sender())
        except CancelledError:
            if not recording.told and (recording.gone or _disconnected(receive)):
                recording.end(Outcome.CLIENT_GONE)
            recording.end(Outcome.SHUTDOWN, None, "CancelledError")
            raise
        except BaseException as error:
            if recording.gone:
                recording.end(Outcome.CLIENT_GONE)
            elif isinstance(error, Exception):
                recording.end(Outcome.APP_ERROR, None, type(error).__name__)
            else:
                recording.end(*stopped(error))
            raise
        if recording.gone:
            recording.end(Outcome.CLIENT_GONE)
        recording.end(Outcome.APP_ERROR, None, "returned without completing the response")
        return result


class _Watched:
    """The server's ``receive`` and ``send`` under record. Concurrent sends are fine: each has its own times."""

    __slots__ = ("_receive", "_recording", "_send", "_trailers")

    def __init__(self, recording: Recording, receive: Receive, send: Send) -> None:
        self._recording, self._receive, self._send = recording, receive, send
        self._trailers = False

    async def receive(self) -> Message:
        """The server's next message; only a disconnect is noted."""
        message = await self._receive()
        if message.get("type") == "http.disconnect":
            self._recording.gone = True
        return message

    def sender(self) -> Send:
        """The ``send`` for the app: pieces of the body are counted in variables of its own, which costs least."""
        recorder, inner, other, refused = self._recording.recorder, self._send, self._other, self._refused
        if recorder.keeps:
            return other
        tally, start = recorder.tally, recorder.started_at
        if compiled.counting is not None:
            given = None if clock is perf_counter else clock
            compiled_send = compiled.counting.Sender(inner, tally, start, other, refused, given)
            recorder.settle, recorder.look = compiled_send.settle, compiled_send.look
            return compiled_send  # type: ignore[no-any-return]
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
                tally.add(produced - start, length, now - start)
                begun = bool(length)
            elif not length:
                empty += 1
                return None
            else:
                gap = produced - last
                if gap > limit or produced - accepted > quiet:
                    limit, quiet = tally.notice(gap, produced - accepted, accepted - start)
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
            tally.settle(chunks, size, empty, last - start, accepted - start, waited, longest)
            chunks = size = empty = 0
            waited = 0.0

        recorder.settle = settle
        if self._recording.watched:
            recorder.look = lambda: (chunks, size, accepted) if begun else None
        return send

    async def _other(self, message: Message) -> None:
        """Any message but a plain piece of the body."""
        recording, kind = self._recording, message.get("type")
        recorder = recording.recorder
        if kind == "http.response.start":
            status, headers = message.get("status", 0), tuple(message.get("headers", ()))
            self._trailers = bool(message.get("trailers", False))
            await self._passed(message)
            decoded = tuple((_text(name), _text(value)) for name, value in headers)
            recording.head(status, decoded)
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
                self._complete(gone)
            return
        else:
            await self._passed(message)
            return
        # Before: hypercorn says http.disconnect while it sends the last message.
        produced, gone = clock(), recording.gone
        try:
            await self._send(message)
        except BaseException as error:
            self._refused(error, produced, size, data)
            raise
        if not recording.told:
            recorder.chunk(produced, size, clock(), data)
        if last:
            recording.exhausted_at = clock()
            if not self._trailers:
                self._complete(gone)

    async def _passed(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._recording.gone = True
            raise

    def _complete(self, gone: bool) -> None:
        self._recording.end(Outcome.CLIENT_GONE if gone else Outcome.COMPLETE)

    def _refused(self, error: BaseException, produced: float, size: int, data: bytes | None) -> None:
        if isinstance(error, OSError):
            self._recording.gone = True
        if not self._recording.told:
            self._recording.recorder.chunk(produced, size, None, data)


def _disconnected(receive: Receive) -> bool:
    """Does ``receive`` offer http.disconnect at once? Asked when the app is over, so that no message is missed."""
    for _ in range(16):  # pieces of a request body that the app did not read
        try:
            waiting = receive().__await__()
        except Exception:
            return False
        try:
            next(waiting)
        except StopIteration as answer:
            if isinstance(answer.value, MutableMapping) and answer.value.get("type") == "http.request":
                continue
            return isinstance(answer.value, MutableMapping) and answer.value.get("type") == "http.disconnect"
        except BaseException:
            return False
        close = getattr(waiting, "close", None)
        if close is not None:
            close()
        return False
    return False


def _text(value: bytes | str) -> str:
    if type(value) is bytes:
        return value.decode("latin-1")
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def _path_size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, TypeError):
        return 0


def _fields(scope: Scope) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in scope.get("headers", ()))


def _target(scope: Scope) -> str:
    path = scope.get("raw_path")
    if path is None:
        path = quote(scope.get("path", "/"), "/:;=@!$&'()*+,~")
    query = scope.get("query_string", b"")  # bytes, says the specification; tests also say text
    return f"{_text(path)}?{_text(query)}" if query else _text(path)


def _version_and_fields(scope: Scope) -> tuple[str, Headers]:
    return scope.get("http_version", "1.1"), _fields(scope)


def _request(scope: Scope) -> Request:
    return Request(scope.get("method", "GET"), _target(scope), *_version_and_fields(scope))
