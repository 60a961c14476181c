"""Route what an app sends to the policy's machine, past it, or into the hops: :class:`Outgoing`.

``driver.py`` runs the app, the timer and the end of a response.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import lru_cache
from typing import Any

from ...sansio.flush.policy import FlushMachine
from ...sansio.flush.recognize import OPT_HEADER, ResponseKind, unopted
from ...sansio.flush.tail import Tail
from ...sansio.http import Headers, head_size
from ...sansio.machine import Cut, Data, End, Event, Events, Head
from ...sansio.trace import Request
from .. import holds
from ..policy import PreparedPolicy
from ..recording import Recording, clock
from ..via import HopCut, Route
from .chain import Hops
from .channel import Channel
from .disconnect import DISCONNECT, ReaderWatch
from .event_loop import SAMPLE, TURN, WORK, StreamLoop, blocked_loop
from .files import FILES
from .recording import Watched
from .scope import Message, Receive, Scope, Send, rereadable, texts

_BODY = "http.response.body"
#: Messages that show that a response is not a stream: a body at once, a file, or a second start, which the server
#: refuses.
_UNTOUCHED = (_BODY, *FILES, "http.response.start")

#: A loop that did not turn for this long is reported; seconds, asyncio's own limit (``slow_callback_duration``).
_SLOW = 0.1


class Outgoing:
    """One response as the app sends it. :class:`~.driver.Driver` completes and runs it."""

    __slots__ = (
        "_beats",
        "_blocked",
        "_blocked_since",
        "_cancelled",
        "_channel",
        "_cut",
        "_flying",
        "_hops",
        "_loop",
        "_machine",
        "_moved",
        "_over",
        "_plain",
        "_policy",
        "_prepared",
        "_quick",
        "_reader",
        "_recording",
        "_request",
        "_running",
        "_scope",
        "_start",
        "_tail",
        "_tap",
        "_task",
        "_turn",
        "_untouched",
        "_watch",
        "tick",
    )

    def __init__(
        self,
        prepared: PreparedPolicy | None,
        route: Route | None,
        request: Request,
        recording: Recording | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        policy = None if prepared is None else prepared.policy
        self._prepared, self._policy, self._recording, self._scope = prepared, policy, recording, scope
        self._request: Request | None = request
        self._loop: StreamLoop
        self._task: asyncio.Task[Any] | None = None
        self._tap = None if recording is None else Watched(recording, receive, send)
        self._plain = send if self._tap is None or route is not None else self._tap.sender()
        limit = None if policy is None else policy.send_timeout
        what = "ignore" if policy is None else policy.on_disconnect
        context = copy_context()
        self._channel = Channel(self, self._plain, limit, context)
        self._reader = ReaderWatch(self, receive, what, context, breakable=route is not None)
        self._hops = None if route is None else Hops(route, request, self._channel, recording, self._answered)
        self._start: Message | None = None  # waits until it is known whether this is a stream
        self._machine: FlushMachine | None = None
        self._tail: Tail | None = None
        self._watch: holds.Watch | None = None
        self._untouched = policy is None  # the policy does not look at any message
        self._quick = self._beats = self._over = self._running = self._cancelled = self._blocked = False
        self._flying = 0  # messages that pass in the app's own tasks
        self._turn = -1  # the mark of the loop's turn in which the app went on; 0 if that turn has no mark
        self._blocked_since = 0.0
        self._cut: HopCut | None = None
        self._moved: asyncio.Future[None] | None = None  # wakes the call that waits for the hops
        self.tick: int | None = None

    # The app's send.

    async def send(self, message: Message) -> None:
        """Take the app's ``message``. A chunk that the policy does not change is sent first, then looked at."""
        if not self._quick or message.get("type") != _BODY or not message.get("more_body"):
            return await self._send(message)
        loop, came_at = self._loop, clock()
        if self._turn > 0 and self._turn == loop.mark:
            self._report_blocked()
        body = message.get("body")  # a middleware outside may change the message
        self._flying += 1
        try:
            await self._plain(message)
        except BaseException:
            self._unsure()
            raise
        finally:
            self._flying -= 1
        now = clock()
        if body and self._tail is not None:
            self._saw(body, now)
        if loop.last is self._task or self._turn < 0:
            if now - loop.turned_at >= TURN or came_at - self._blocked_since >= WORK:
                now = await self._give_way(now)
        elif now - loop.turned_at >= SAMPLE:  # another response went on meanwhile, so this app waits by itself
            loop.watch_turn()
        loop.last, self._turn, self._blocked_since = self._task, loop.mark, now
        return None

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._untouched or self._over:
            await self._onward(message)
        elif kind == _BODY and self._machine is not None:
            await self._body(message)
        elif kind == _BODY and self._start is not None and message.get("more_body", False):
            start, self._start = self._start, None
            await self._stream(start)
            await self._body(message)
        elif kind == "http.response.start" and self._start is None and self._machine is None:
            await self._begin(rereadable(message))
        else:
            if kind in _UNTOUCHED:
                await self._touch_nothing()
            await self._onward(message)

    async def _onward(self, message: Message) -> None:
        """Pass on a message that does not concern the policy."""
        if self._hops is None:
            return await self._channel.passed(message)
        try:
            await self._hops.send(message)
        finally:
            self._arm()
        return None

    async def _begin(self, start: Message) -> None:
        assert self._policy is not None
        assert self._request is not None
        kind = self._policy.kind(self._request, start["status"], texts(start.get("headers", ())))
        if start.get("trailers", False):
            kind = ResponseKind.OTHER  # trailers belong to the app's own framing of the body
        if kind is ResponseKind.STREAM:
            await self._stream(start)
        else:
            self._start = start
            if kind is ResponseKind.OTHER:
                await self._touch_nothing()

    async def _touch_nothing(self) -> None:
        """This is not a stream: pass on everything from here on."""
        start, self._start, self._untouched, self._request = self._start, None, True, None
        self._quick = False
        if start is None:
            return
        headers = texts(start.get("headers", ()))
        if unopted(headers) is not headers:
            kept = [pair for pair in start["headers"] if bytes(pair[0]).lower() != OPT_HEADER.encode()]
            start = {**start, "headers": kept}
        await self._onward(start)

    async def _stream(self, start: Message) -> None:
        assert self._prepared is not None
        assert self._request is not None
        now = clock()
        self._machine = machine = self._prepared.start(self._request, now)
        self._request = None
        headers = texts(start.get("headers", ()))
        head = Head(start["status"], headers, "chunked", head_size(start["status"], headers))
        self._flying += 1
        try:
            for event in machine.receive(head, now):
                if isinstance(event, Head):
                    await self._onward({**start, "headers": _encoded(event.headers, headers, start.get("headers", ()))})
                elif isinstance(event, Data):
                    await self._onward({"type": _BODY, "body": bytes(event.data), "more_body": True})
        finally:
            self._flying -= 1
        self._tail, self._beats = machine.tail, machine.timed
        self._reader.begin()
        self._look()
        self._arm()

    async def _body(self, message: Message) -> None:
        machine, more, came_at = self._machine, bool(message.get("more_body", False)), clock()
        assert machine is not None
        if self._channel.broken is not None:
            raise self._channel.broken
        self._reader.check()
        if self._turn > 0 and self._turn == self._loop.mark:
            self._report_blocked()
        body = message.get("body") or b""
        if body and self._watch is not None:
            self._watch.came_out()
        if machine.passes and self._hops is None:
            if not more:
                self._end()
            self._flying += 1
            try:
                await self._channel.passed(message)
            except BaseException:
                self._unsure()
                raise
            finally:
                self._flying -= 1
            if body and more and self._tail is not None:
                self._saw(body, clock())
        else:
            now, events = clock(), list[Event]()
            if machine.deadline is not None and machine.deadline <= now:
                events += machine.wake(now)
            if body:
                events += machine.receive(Data(body), now)
            if not more:
                events += machine.receive(End(), now)
            self._leave(events)
            self._arm()
            if self._channel.writer is not None:
                await self._channel.drained()
                self._arm()
        if not self._over:
            now, loop = clock(), self._loop
            if (loop.last is self._task or self._turn < 0) and (
                now - loop.turned_at >= TURN or came_at - self._blocked_since >= WORK
            ):
                now = await self._give_way(now)
            loop.last, self._turn, self._blocked_since = self._task, loop.mark, now

    def _leave(self, events: Events) -> None:
        """Send what has left the policy. An end goes with the last bytes."""
        last = len(events) - 1
        for index, event in enumerate(events):
            if isinstance(event, Data) and event.data:
                ends = index < last and isinstance(events[index + 1], End)
                if ends:
                    self._end()
                self._put({"type": _BODY, "body": bytes(event.data), "more_body": not ends})
            elif isinstance(event, End) and not self._over:
                self._end()
                self._put({"type": _BODY, "body": b"", "more_body": False})
            elif isinstance(event, Cut) and self._hops is not None:
                self._hops.failed = True
                self._hops.feed(event)

    def _put(self, message: Message) -> None:
        self._quick = False
        if self._hops is None:
            self._channel.put(message)
        else:
            self._hops.take(message)

    def _end(self) -> None:
        self._over, self._quick = True, False
        self._reader.over()

    # What the driver observes.

    def _saw(self, body: Any, now: float) -> None:
        assert self._tail is not None
        try:
            self._tail.saw(body, now)
        except TypeError:  # not bytes, but the server took it
            self._tail.unsure()
        if self._beats and self.tick is None:
            self._arm()

    def _unsure(self) -> None:
        """Forget the boundary: it is unclear whether a message has left."""
        if self._tail is not None:
            self._tail.unsure()

    async def _give_way(self, now: float) -> float:
        """Let the loop turn before the app goes on. Return the time after that."""
        assert self._policy is not None
        if self._policy.yield_to_loop:
            now = await self._loop.give_way()
            if not self._over:
                self._reader.check()
        self._loop.watch_turn()
        return now

    def _report_blocked(self) -> None:
        assert self._policy is not None
        blocked = clock() - self._blocked_since
        if blocked >= _SLOW and not self._blocked:
            self._blocked = True
            holds.report(blocked_loop(blocked, _SLOW), self._policy.on_hold, "event loop")

    def heard(self, message: Message) -> None:
        """React to ``message``, which came from the server's ``receive``."""
        if message.get("type") == DISCONNECT and self._recording is not None:
            self._recording.gone = True

    def _look(self) -> None:
        """Decide whether chunks may pass without the policy's machine."""
        machine, policy = self._machine, self._policy
        self._quick = (
            machine is not None
            and machine.passes
            and self._hops is None
            and self._watch is None
            and policy is not None
            and policy.send_timeout is None
            and self._reader.left is None
            and not self._over
            and self._channel.writer is None
            and self._channel.broken is None
        )

    # Completed in driver.py.

    def _arm(self) -> None:
        """Set the timer to the earliest deadline."""
        raise NotImplementedError

    def due(self, now: float) -> None:
        """Wake the machines whose deadline has come. The timer calls this."""
        raise NotImplementedError

    def settled(self, error: BaseException | None) -> None:
        """React: everything has left, or the channel to the server broke with ``error``."""
        raise NotImplementedError

    def reader_lost(self) -> None:
        """React: the reader has left, and the app has not learned of it."""
        raise NotImplementedError

    def _answered(self) -> None:
        """React: the hops ended the response in the app's place."""
        raise NotImplementedError


def _encoded(headers: Headers, before: Headers, raw: Any) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` as bytes. The app's own pairs (``before``, sent as ``raw``) are reused, not copied."""
    kept = {field: pair for field, pair in zip(before, raw, strict=False) if _is_plain(pair)}
    return [kept.get(field) or (_bytes if field in before else _added)(*field) for field in headers]


def _is_plain(pair: Any) -> bool:
    return type(pair) is tuple and type(pair[0]) is type(pair[1]) is bytes and pair[0].islower()


def _bytes(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


#: Cached, because only a few fields are ever added.
_added = lru_cache(64)(_bytes)
