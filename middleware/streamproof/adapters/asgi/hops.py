"""Hops between an ASGI app and its server, in the process: gives the server what leaves them, when it leaves.

Knows the ASGI 3.0 messages and drives any :class:`~.sansio.machine.Machine`; one timer task wakes it, started when it
first has a deadline (asyncio only) and ended with the response. Does not know what the hops do. Its rules:

- ``send`` returns once what left the hops was sent on, so a hop that holds takes bytes without backpressure.
- When a hop has ended the response, ``receive`` gives http.disconnect and ``send`` raises OSError (ASGI 2.4). After an
  answer of its own the app may go on; after a cut the app's task is cancelled and :class:`~.via.HopCut` raised, at
  which servers end the connection without the last chunk (daphne leaves it open).
- Files (pathsend, zerocopysend) are read here, since hops need the bytes. Unknown messages pass at once.
- The app's exception is raised on after what the hops release at an upstream abort.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ...sansio.machine import Cut, Data, End, Event, Events, Head, Machine
from ...sansio.outcome import Ending
from ...sansio.trace import Outcome, Request
from ..recording import Recording, clock
from ..via import HopCut, Leg, Route, server_fields

if TYPE_CHECKING:
    from .scope import App, Message, Receive, Scope, Send

_PIECE = 65536


async def through(
    route: Route, app: App, scope: Scope, receive: Receive, send: Send, request: Request, recording: Recording | None
) -> Any:
    """Run ``app`` with its response led through the hops of ``route``."""
    machine = route.start(request, clock())
    crossing = _Crossing(machine, Leg(request, machine, None), receive, send, recording, route.text)
    return await crossing.run(app, scope)


class _Crossing:
    """One response on its way through the hops."""

    def __init__(
        self, machine: Machine, leg: Leg, receive: Receive, send: Send, recording: Recording | None, name: str
    ) -> None:
        self._machine, self._leg, self._recording, self._name = machine, leg, recording, name
        self._server_receive, self._server_send = receive, send
        self._order = asyncio.Lock()
        self._moved, self._over = asyncio.Event(), asyncio.Event()
        self._start: Message | None = None
        self._ended = self._failed = self._running = False
        self._cut: HopCut | None = None
        self._broken: BaseException | None = None  # what the server's send raised in the timer's task
        self._pending: asyncio.Future[Any] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Any] | None = None

    async def run(self, app: App, scope: Scope) -> Any:
        """Run the app, then wait until everything has left."""
        self._task = asyncio.current_task()
        self._rearm()
        self._running = True
        try:
            try:
                result = await app(scope, self.receive, self.send)
            except asyncio.CancelledError:
                if self._cut is None or self._task is None or self._task.uncancel():
                    raise
                raise self._cut from None
            finally:
                self._running = False
            if self._cut is not None and not self._ended:
                if self._task is not None and self._task.cancelling():
                    self._task.uncancel()  # the app kept the cancellation to itself
                raise self._cut
            if self._ended:
                await self._drained()
            return result
        except HopCut:
            raise
        except Exception as error:
            await self._fail(error)
            raise
        finally:
            for task in (self._timer, self._pending):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    async def receive(self) -> Message:
        """The server's next message, or http.disconnect once a hop has ended the response. No message is lost."""
        if self._over.is_set() and not self._ended:
            return {"type": "http.disconnect"}
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._server_receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((self._pending, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)
        if not self._pending.done():
            if not self._ended:
                return {"type": "http.disconnect"}
            await asyncio.wait((self._pending,))
        pending, self._pending = self._pending, None
        message: Message = pending.result()
        return message

    async def send(self, message: Message) -> None:
        """The app's ``send``."""
        kind = message["type"]
        if self._broken is not None:
            raise self._broken
        if self._over.is_set() and not self._ended:
            raise self._cut or ConnectionAbortedError(f"{self._name} has answered in the app's place already.")
        if kind == "http.response.start":
            self._start = {**message}
            await self._feed(self._leg.head(message["status"], _decoded(message.get("headers", ()))))
        elif kind == "http.response.body":
            await self._body(bytes(message.get("body", b"")), message.get("more_body", False))
        elif kind == "http.response.pathsend":
            with open(message["path"], "rb") as file:
                async for piece in _pieces(file.fileno(), 0, None):
                    await self._body(piece, True)
            await self._body(b"", False)
        elif kind == "http.response.zerocopysend":
            file, offset, count = message["file"], message.get("offset"), message.get("count")
            number = file if isinstance(file, int) else file.fileno()
            async for piece in _pieces(number, offset, count):
                await self._body(piece, True)
            await self._body(b"", message.get("more_body", False))
        else:
            async with self._order:
                await self._server_send(message)

    async def _body(self, data: bytes, more: bool) -> None:
        if data and self._leg.bodied:
            await self._feed(self._leg.data(data))
        if not more and not self._over.is_set():
            self._ended = True
            await self._feed(self._leg.end())

    async def _feed(self, event: Event) -> None:
        now = clock()
        deadline = self._machine.deadline
        if deadline is not None and deadline <= now:
            await self._leave(self._machine.wake(now))
        if not self._over.is_set():
            await self._leave(self._machine.receive(event, now))
        self._rearm()

    async def _fail(self, error: Exception) -> None:
        """The app raised: the hops see the server end the connection."""
        if self._start is None or self._over.is_set() or self._ended:
            return
        self._failed = True
        try:
            await self._feed(Cut("fin", "app", type(error).__name__))
            await self._drained()
        except OSError:
            return  # the reader has left, too; the app's error says more

    async def _drained(self) -> None:
        """Wait until the last event has left."""
        if not self._over.is_set() and self._machine.deadline is None and not self._order.locked():
            if self._failed:
                return
            raise RuntimeError(f"{self._name} kept the end of a response for good. Expected a deadline or the end.")
        await self._over.wait()
        if self._broken is not None:
            raise self._broken
        if self._cut is not None and not self._failed:
            raise self._cut

    def _rearm(self) -> None:
        """Let the timer look at the deadline again."""
        if self._timer is not None:
            self._moved.set()
        elif self._machine.deadline is not None:
            self._timer = asyncio.ensure_future(self._keep_time())

    async def _keep_time(self) -> None:
        while not self._over.is_set():
            self._moved.clear()
            deadline = self._machine.deadline
            try:
                async with asyncio.timeout(None if deadline is None else deadline - clock()):
                    await self._moved.wait()
            except TimeoutError:
                now = clock()
                if (due := self._machine.deadline) is None or due > now:
                    continue
                try:
                    await self._leave(self._machine.wake(now))
                except Exception as error:
                    self._broken = error
                    self._over.set()

    async def _leave(self, events: Events) -> None:
        if not events:
            return
        async with self._order:  # first come, first served: the order in which events left the machine
            for event in events:
                await self._emit(event)

    async def _emit(self, event: Event) -> None:
        if self._over.is_set():
            return
        if isinstance(event, Head):
            headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in server_fields(event)
            ]
            start = self._start or {"type": "http.response.start"}
            await self._server_send({**start, "status": event.status, "headers": headers})
        elif isinstance(event, Data):
            if event.data:
                body = bytes(event.data)
                await self._server_send({"type": "http.response.body", "body": body, "more_body": True})
        elif isinstance(event, End):
            if not self._ended:
                self._set_outcome(self._name, "answered in the app's place")
            await self._server_send({"type": "http.response.body", "body": b"", "more_body": False})
            self._over.set()
        else:
            self._end_by(event)

    def _end_by(self, cut: Cut) -> None:
        self._over.set()
        if self._failed:
            return
        self._cut = HopCut.of(cut, self._name)
        self._set_outcome(cut.by or self._name, cut.reason)
        if self._running and self._task is not None and asyncio.current_task() is self._timer:
            self._task.cancel()

    def _set_outcome(self, by: str, why: str | None) -> None:
        if self._recording is not None:
            self._recording.set_outcome(Ending(Outcome.CUT, by, why))


def _decoded(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers)


async def _pieces(number: int, offset: int | None, count: int | None) -> AsyncIterator[bytes]:
    """The bytes of an open file, from ``offset`` (None: from where it stands), at most ``count``."""
    if offset is not None:
        os.lseek(number, offset, os.SEEK_SET)
    while count is None or count > 0:
        piece = await asyncio.to_thread(os.read, number, _PIECE if count is None else min(_PIECE, count))
        if not piece:
            return
        if count is not None:
            count -= len(piece)
        yield piece
