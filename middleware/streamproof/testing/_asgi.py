"""Serve one ASGI request in a test: the app runs in its own task, and its ``send`` waits for the reader.

In lockstep (``window`` 0) a send returns only when the reader has that chunk and asks for the next. The app sees its
reader leave as it does with the chosen server. Works under asyncio and trio. Grace periods are skipped: what a server
cancels after some seconds is cancelled as soon as the app has had its turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ..adapters.taps import observer
from ..profiles import Via
from ..sansio.machine import Cut, End, Head
from ..sansio.trace import Outcome, Request
from . import _loops
from ._line import Line
from ._requests import PATHSEND, TRAILERS, header_pairs, scope_of
from .errors import AppFault, BrokenResponse, OpenForEver
from .request_body import Feed, RequestBody
from .server_behavior import ServerBehavior

#: Turns of the loop that an app gets to notice that its reader left; unwinding a task group takes about ten.
TURNS = 100

#: Bytes of a file that are under way at once.
FILE_PIECE = 65536


class ASGIExchange:
    """The conversation with one ASGI app about one request; ``start()`` it first.

    A request's ``body`` that comes in chunks reaches the app chunk by chunk; the next is produced when the app asks for
    it. An exception of the body is raised where the reader reads, and the app sees the reader leave.

    ``window``: bytes that may be under way before ``send`` waits; 0 is lockstep, None is no backpressure.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        request: Request,
        *,
        server: ServerBehavior,
        via: Via | None = None,
        body: RequestBody = b"",
        window: int | None = 0,
        raises: bool = True,
        state: dict[str, Any] | None = None,
        client: tuple[str, int] = ("127.0.0.1", 50000),
        root_path: str = "",
        scheme: str = "http",
        trailers: bool = False,
    ) -> None:
        self._app, self._raises, self._window = app, raises, window
        self._loop = _loops.running()
        self._bell = self._loop.bell()
        self.line = Line(request, server, via, self._loop.now())
        self.scope = scope_of(
            self.line.request_at_app, server, client=client, root_path=root_path, scheme=scheme, trailers=trailers
        )
        if state is not None:
            self.scope["state"] = dict(state)
        self.info: dict[str, Any] = {}
        """The app's ``http.response.debug``: its template and context."""
        self.trailers: list[tuple[bytes, bytes]] = []
        """The trailer fields that reached the reader, filled when the response is complete."""
        self._body = body if isinstance(body, bytes) else None
        self._feed = None if isinstance(body, bytes) else Feed(body, self._loop, self._bell)
        self._request_error: Exception | None = None
        self._awaits_trailers = False
        self._job: _loops.Job | None = None
        self._error: BaseException | None = None
        self._over = self._gone = self._asking = self._complete = self._body_over = False
        self._in_hand = self._sending = 0
        self._cancelled = self._returned = False
        self.body_iterator: Any = None
        """The iterator that gives the body to the client, once there is one."""

    def __repr__(self) -> str:
        request = self.line.request
        return f"<ASGIExchange {request.method} {request.target} like {self.line.server.name}>"

    @property
    def is_async(self) -> bool:
        """Is it read with await?"""
        return True

    @property
    def app_done(self) -> bool:
        """Has the app returned, raised or been cancelled?"""
        return self._job is None or self._returned or self._job.done

    @property
    def ran_on(self) -> bool:
        """Did the app have to be cancelled after its reader had left?"""
        return self._cancelled

    def start(self) -> None:
        """Start the app."""
        line, loop = self.line, self._loop
        token = observer.set(partial(line.event_log.tap, lambda: loop.now() - line.started))
        try:
            if self._feed is not None:
                self._feed.start()
            self._job = loop.spawn(self._run)
        finally:
            observer.reset(token)

    async def head(self) -> Head:
        """The head, once it has reached the reader. Raises what the app raised before it."""
        item = await self._next()
        if isinstance(item, Head):
            return item
        self._over = True
        raise self._broken("The response never began")

    async def read(self) -> bytes | None:
        """The next bytes that reach the reader, None at the end."""
        if self._over:
            return None
        item = await self._next()
        if isinstance(item, bytes):
            return item
        self._over = True
        if isinstance(item, End) or (self.line.server.hides_cuts and not self._raises):
            return None
        raise self._broken("The response was cut")

    async def close(self) -> None:
        """Close as the reader: wait for an app that is complete, or let the app see the reader leave."""
        self._over = True
        if self._complete or self._error is not None:
            self._gone_quietly()
            while not self.app_done:
                await self._bell.wait()
            if self._error is not None and self._raises and isinstance(self._error, Exception):
                error, self._error = self._error, None
                raise error
            return
        self._gone = True
        self._bell.ring()
        try:
            for _ in range(TURNS):
                if self.app_done:
                    return
                await self._loop.turn()
        finally:
            self.line.finish(Outcome.CLIENT_GONE, self._loop.now(), "the reader left")
        if self.line.server.cancels_after is not None:
            await self.cancel()

    def _gone_quietly(self) -> None:
        self._asking = True
        self._bell.ring()

    async def cancel(self) -> None:
        """Cancel the app's task and wait for its end, as a server does when it stops."""
        if not self.app_done:
            assert self._job is not None
            self._cancelled = True
            self._job.cancel()
            for _ in range(TURNS):
                if self.app_done:
                    break
                await self._loop.turn()

    async def until_done(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds on the loop's clock for the app to end. Did it?"""
        limit = self._loop.now() + timeout
        while not self.app_done and self._loop.now() < limit:
            await self._bell.wait(limit)
        return self.app_done

    async def _next(self) -> Head | bytes | End | Cut | None:
        line = self.line
        self._in_hand = 0
        self._asking = True
        try:
            while True:
                if (failed := self._request_error) is not None:
                    self._request_error = None
                    raise failed
                if (item := line.take()) is not None:
                    if isinstance(item, bytes):
                        self._in_hand = len(item)
                    return item
                self._bell.ring()
                if self.app_done and line.deadline is None:
                    self._leftover()
                    return None
                await self._bell.wait(line.deadline)
                line.wake(self._loop.now())
        finally:
            self._asking = False

    def _leftover(self) -> None:
        """The app has ended and nothing more will come."""
        if self.line.server.left_open and self.line.head_given and not (self._raises and self._error):
            self._over = True
            raise OpenForEver(
                f"{self.line.server.name} leaves the connection open after this. Expected an end. "
                f"Did the app raise or return too early? {self._error!r}"
            )

    def _broken(self, fact: str) -> BaseException:
        if self._error is not None and self._raises:
            error, self._error = self._error, None
            return error
        return BrokenResponse(self.line.why_broken(fact, self._error))

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._receive, self._send)
        except Exception as error:
            self._ended(error)
        except BaseException:
            self._ended(None)
            raise
        else:
            self._ended(None)
        finally:
            self._returned = True
            if self._feed is not None:
                self._feed.stop()
            self._bell.ring()

    def _ended(self, error: Exception | None) -> None:
        line, now = self.line, self._loop.now()
        if error is None and not self._complete and not self._gone:
            words = "without a response" if not line.head_given else "before its response was complete"
            error = (
                None
                if self._cancelled
                else AppFault(
                    f"The app returned {words}. Expected a last body event (more_body False). Did it return too early?"
                )
            )
        if self._gone:  # nothing receives its exception any more; servers log it
            line.finish(Outcome.CLIENT_GONE, now, "the reader left")
            return
        self._error = error
        if self._complete:
            line.finish(Outcome.COMPLETE, now)
            return
        line.cut("" if error is None else f"{type(error).__name__}: {error}", now)
        outcome = Outcome.SHUTDOWN if self._cancelled else Outcome.APP_ERROR
        line.finish(outcome, now, None if error is None else repr(error))

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        while (feed := self._feed) is not None and not (self._gone or self._complete):
            if (chunk := feed.take()) is not None:
                return {"type": "http.request", "body": chunk, "more_body": True}
            if feed.over:
                self._feed = None
                if feed.error is None:
                    return {"type": "http.request", "body": b"", "more_body": False}
                self._request_error, self._gone = feed.error, True
                self._bell.ring()
                break
            feed.ask()
            await self._bell.wait()
        while not (self._gone or self._complete):
            await self._bell.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        line, kind = self.line, message["type"]
        if self._gone:
            if line.server.raises_when_gone:
                raise OSError("The reader has left")
            await self._loop.turn()
            return
        if kind == "http.response.start":
            if line.head_given:
                raise AppFault("The app sent http.response.start twice. Expected it once. Do two layers answer?")
            self._awaits_trailers = bool(message.get("trailers", False)) and self._offers(TRAILERS)
            line.head(message["status"], header_pairs(message.get("headers", ())), self._loop.now())
            self._bell.ring()
        elif kind == "http.response.body":
            await self._body_event(bytes(message.get("body", b"")), bool(message.get("more_body", False)))
        elif kind == PATHSEND:
            self._may_send(kind)
            with open(message["path"], "rb") as file:
                while piece := file.read(FILE_PIECE):
                    await self._body_event(piece, True)
            await self._body_event(b"", False)
        elif kind == TRAILERS:
            self._may_send(kind)
            self._trailers(message)
        elif kind == "http.response.debug":
            self.info = message["info"]
        # Events of other types belong to extensions that no transport offers (ASGI, "Extensions").

    def _offers(self, extension: str) -> bool:
        return extension in (self.scope.get("extensions") or ())

    def _may_send(self, kind: str) -> None:
        if not self._offers(kind):
            raise AppFault(
                f"The app sent {kind}, which {self.line.server.name} does not offer. "
                "Expected it in the scope's extensions first. Does the app look there?"
            )

    def _trailers(self, message: dict[str, Any]) -> None:
        line = self.line
        if not self._awaits_trailers or not line.head_given:
            raise AppFault("The app sent trailers that it had not announced. Expected trailers=True in its head event.")
        if not self._body_over or self._complete:
            raise AppFault("The app sent trailers in the middle. Expected them after its last body event.")
        if line.chain is None:  # a proxy may discard them (RFC 9110, 6.5.1), and the hops know none
            self.trailers.extend((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._completed(self._loop.now())

    async def _body_event(self, data: bytes, more: bool) -> None:
        # Two tasks may send at once (events and pings): in lockstep one chunk at a time is under way.
        while self._sending and self._window == 0 and not self._gone:
            await self._bell.wait()
        self._sending += 1
        try:
            await self._pass_on(data, more)
        finally:
            self._sending -= 1
            self._bell.ring()

    async def _pass_on(self, data: bytes, more: bool) -> None:
        line, produced = self.line, self._loop.now()
        if not line.head_given:
            raise AppFault("The app sent a body before its head. Expected http.response.start first.")
        if self._complete or self._body_over:
            raise AppFault("The app sent a body after its last one. Expected nothing after more_body False.")
        line.wake(produced)
        line.data(data, produced)
        if not more:
            self._body_over = True
            if not self._awaits_trailers:
                self._completed(produced)
        self._bell.ring()
        while data and more and not self._gone and not self._has_room():
            await self._bell.wait()
        line.accepted(produced, data, None if self._gone else self._loop.now())
        if self._gone and line.server.raises_when_gone:
            raise OSError("The reader has left")
        if not data or self._window is None:
            # A send that never waits would starve the reader; with sockets, it yields to the loop as well.
            await self._loop.turn()

    def _completed(self, now: float) -> None:
        self.line.end(now)
        self._complete = True
        self._bell.ring()

    def _has_room(self) -> bool:
        if self._window is None:
            return True
        waiting = sum(len(item) for item in self.line.arrived if isinstance(item, bytes))
        if self._window == 0:
            return not waiting and self._asking
        return waiting + self._in_hand <= self._window
