"""Carries a policy out round an ASGI app: :func:`flushed`. Inside the recording, so a trace shows what left the policy.

Knows the ASGI 3.0 messages. Decides nothing: which responses are streams and what becomes of them, the policy's machine
says. Everything that is no stream passes as the objects it came in. Its own rules:

- A response whose head leaves open whether it is a stream waits for its first body message, which says so. Servers may
  hold the head as long anyway (ASGI, "Response Start").
- One timer of the event loop wakes the machine; writes go out one after another, whoever makes them.
- The app's exception is raised on after what the machine makes of it; only the log and the server see it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ...sansio.flush.policy import FlushMachine
from ...sansio.flush.recognize import OPT_HEADER, ResponseKind, unopted
from ...sansio.http import Headers, head_size
from ...sansio.machine import Cut, Data, End, Event, Events, Head
from ...sansio.trace import Request
from .. import holds
from ..policy import PreparedPolicy
from ..recording import FAILED, clock, log
from .disconnect import ReaderLeft, ReaderWatch
from .event_loop import LoopWatch, Noticing, give_way, in_asyncio
from .scope import App, Message, Receive, Scope, Send, request_of, rereadable

#: With these a response is none of ours: a body that is no stream, a file, or a second start (the server's to refuse).
_FORWARDED = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend", "http.response.start")


def apply_policy(app: App, prepared: PreparedPolicy) -> App:
    """``app`` under ``flushing``'s policy."""

    async def under_policy(scope: Scope, receive: Receive, send: Send) -> Any:
        if scope.get("type") != "http" or not in_asyncio():
            return await app(scope, receive, send)
        request = request_of(scope)
        if not prepared.policy.possible(request):
            return await app(scope, receive, send)
        asked = scope
        if prepared.policy.hide_encodings:
            kept = [pair for pair in scope["headers"] if bytes(pair[0]).lower() != b"accept-encoding"]
            scope = {**scope, "headers": kept}
        response = _Response(prepared, request, receive, send, asked)
        if holds.made:
            response.watch = scope[holds.KEY] = holds.Watch(prepared.policy.on_hold, prepared.policy.hold_limit)
        return await response.run(app, scope)

    return under_policy


class _Response:
    """One response on its way out."""

    def __init__(self, prepared: PreparedPolicy, request: Request, receive: Receive, send: Send, asked: Scope) -> None:
        self._flushing, self._policy, self._request = prepared, prepared.policy, request
        self._send, self._asked = send, asked
        self._reader = ReaderWatch(receive, self._policy.on_disconnect)
        self._order = asyncio.Lock()
        self._start: Message | None = None  # held until it is known whether this is a stream
        self._machine: FlushMachine | None = None
        self._other = self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._waking: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None  # what the server's send raised when the timer woke us
        self._loop = LoopWatch(self._policy.on_hold)
        self.watch: holds.Watch | None = None

    async def run(self, app: App, scope: Scope) -> Any:
        """Run the app to its end."""
        try:
            result = await self._reader.guard(app(scope, self._reader.receive, self.send))
            if self._machine is not None and not self._over:
                await self._fail("returned without completing the response")
            return result
        except ReaderLeft:
            return None  # nobody is there to be told, and the app has come back
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await self._fail(type(error).__name__)
            raise
        finally:
            self._over = True
            await self._reader.stop()
            if self._timer is not None:
                self._timer.cancel()
            if self._waking is not None:
                self._waking.cancel()
                await asyncio.gather(self._waking, return_exceptions=True)

    async def send(self, message: Message) -> None:
        """The app's ``send``."""
        if self._other:
            return await self._send(message)
        kind = message["type"]
        if kind == "http.response.start" and self._start is None and self._machine is None:
            await self._begin(message)
        elif kind == "http.response.body" and self._machine is not None:
            await self._body(message)
        elif kind == "http.response.body" and self._start is not None and message.get("more_body", False):
            start, self._start = self._start, None
            await self._stream(start)
            await self._body(message)
        elif kind in _FORWARDED:
            await self._untouched()
            await self._send(message)
        else:
            await self._send(message)
        return None

    async def _begin(self, start: Message) -> None:
        start = rereadable(start)
        headers = _decoded(start.get("headers", ()))
        kind = self._policy.kind(self._request, start["status"], headers)
        if start.get("trailers", False):
            kind = ResponseKind.OTHER  # what follows the body belongs to the app's own framing of it
        self._start = start
        if kind is ResponseKind.STREAM:
            self._start = None
            await self._stream(start)
        elif kind is ResponseKind.OTHER:
            await self._untouched()

    async def _untouched(self) -> None:
        """This is no stream: from here on nothing is looked at."""
        start, self._start, self._other = self._start, None, True
        if start is None:
            return
        headers = _decoded(start.get("headers", ()))
        if unopted(headers) is not headers:
            kept = [pair for pair in start["headers"] if bytes(pair[0]).lower() != OPT_HEADER.encode()]
            start = {**start, "headers": kept}
        await self._send(start)

    async def _stream(self, start: Message) -> None:
        now = clock()
        self._machine = self._flushing.start(self._request, now)
        headers = _decoded(start.get("headers", ()))
        head = Head(start["status"], headers, "chunked", head_size(start["status"], headers))
        async with self._order:
            for event in self._machine.receive(head, now):
                if isinstance(event, Head):
                    await self._write({**start, "headers": _encoded(event.headers)})
                elif isinstance(event, Data):
                    await self._write({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        self._reader.begin()
        self._rearm()

    async def _body(self, message: Message) -> None:
        machine, body = self._machine, message.get("body", b"")
        assert machine is not None
        if self._broken is not None:
            raise self._broken
        self._reader.check()
        self._loop.chunk_came()
        if body and self.watch is not None:
            self.watch.came_out()
        if machine.transparent and self._policy.send_timeout is None:
            if not message.get("more_body", False):
                self._end()
            sending = Noticing(self._send(message))
            await sending
            await self._gone_on(sending.waited)
            return
        async with self._order:
            now = clock()
            events: list[Event] = []
            if machine.deadline is not None and machine.deadline <= now:
                events += machine.wake(now)
            if body:
                events += machine.receive(Data(body), now)
            if not message.get("more_body", False):
                events += machine.receive(End(), now)
            waited = await self._leave(events)
        self._rearm()
        await self._gone_on(waited)

    async def _gone_on(self, waited: bool) -> None:
        """A chunk has left: before the app goes on, everything else gets its turn."""
        if self._policy.yield_to_loop and not waited and not self._over:
            await give_way()
            self._reader.check()
        self._loop.chunk_left()

    async def _fail(self, reason: str) -> None:
        """The app broke off: what the machine says to it leaves, then the server sees it."""
        if self._machine is None:
            if self._start is not None:
                await self._untouched()
            return
        if self._over or self._broken is not None:
            return
        async with self._order:
            try:
                events = self._machine.receive(Cut("fin", "app", reason), clock())
                if events and isinstance(events[-1], End):
                    self._asked[FAILED] = reason
                await self._leave(events)
            except OSError:
                return
        if self._over:
            log.error("The app broke off (%s). Its reader was told in the stream.", reason)

    async def _leave(self, events: Events) -> bool:
        """Send ``events``; an end goes with the last bytes. True when a send had to wait."""
        waited = False
        last = len(events) - 1
        for index, event in enumerate(events):
            if isinstance(event, Data) and event.data:
                ends = index < last and isinstance(events[index + 1], End)
                message = {"type": "http.response.body", "body": bytes(event.data), "more_body": not ends}
                if ends:
                    self._end()
                waited = await self._write(message) or waited
            elif isinstance(event, End) and not self._over:
                self._end()
                waited = await self._write({"type": "http.response.body", "body": b"", "more_body": False}) or waited
        return waited

    def _end(self) -> None:
        self._over = True
        self._reader.over()

    async def _write(self, message: Message) -> bool:
        limit = self._policy.send_timeout
        try:
            async with asyncio.timeout(limit) if limit is not None else _NO_LIMIT:
                noticing = Noticing(self._send(message))
                await noticing
                return noticing.waited
        except TimeoutError:
            if limit is None:
                raise
            self._reader.lost(f"one write took longer than {limit:g} s")
            raise ReaderLeft(f"The reader took nothing for {limit:g} s, the policy's send_timeout.") from None

    # The timer: one handle, set again only when it is early.

    def _rearm(self) -> None:
        machine = self._machine
        if machine is None or self._over or self._timer is not None or machine.deadline is None:
            return
        delay = max(0.0, machine.deadline - clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        machine = self._machine
        if machine is None or self._over or machine.deadline is None:
            return
        if machine.deadline > clock():
            self._rearm()
        elif self._waking is None or self._waking.done():
            self._waking = asyncio.get_running_loop().create_task(self._wake())

    async def _wake(self) -> None:
        machine = self._machine
        assert machine is not None
        try:
            async with self._order:
                now = clock()
                if not self._over and machine.deadline is not None and machine.deadline <= now:
                    await self._leave(machine.wake(now))
        except OSError as error:
            self._broken = error
            self._reader.lost("a heartbeat could not be sent")
            return
        except Exception as error:
            self._broken = error
            return
        self._rearm()


class _NoLimit:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *error: object) -> None: ...


_NO_LIMIT = _NoLimit()


def _decoded(headers: Any) -> Headers:
    return tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers)


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
