"""Move one ASGI response through its row, from the app to the server: :func:`begin`.

The row is the policy's machine, the recorder's tap and the hops of a via; each may be missing. The machines decide,
this file only moves. A response that is only recorded does not come here (``recording.py``). The rules, most of them
from the ASGI specification:

- The messages of a response that is not a stream pass unchanged. If the head does not say whether it is a stream, the
  head waits for the first body message. Servers may hold the head that long anyway ("Response Start").
- ``send`` returns once what it made the row release has been sent, so hops that hold take bytes without backpressure.
  What the row has taken leaves in order even if the app's ``send`` is cancelled (``channel.py``).
- If the reader leaves and the app does not listen for it, the app gets OSError from ``send`` or is cancelled, as the
  policy says (``disconnect.py``). The call then returns.
- When a hop answers in the app's place, ``receive`` gives http.disconnect and ``send`` raises OSError. At a cut the app
  is cancelled and :class:`~..via.HopCut` raised. Servers then end the connection without the last chunk (Daphne leaves
  it open).
- The app's exception is raised again, after the machines have released what they hold.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ...sansio.machine import Cut, End
from .. import holds
from ..policy import PreparedPolicy
from ..recording import FAILED, Recording, clock, log
from ..via import HopCut, Route
from .channel import ended
from .disconnect import ReaderLeft
from .event_loop import enter, in_asyncio
from .outgoing import Outgoing
from .scope import App, Receive, Scope, Send, request_of


def begin(
    prepared: PreparedPolicy | None,
    route: Route | None,
    recording: Recording | None,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> Driver | None:
    """Return the driver of the response to ``scope``; None if the response is only to be recorded."""
    request = request_of(scope)
    if prepared is not None and not prepared.policy.possible(request):
        prepared = None
    if (prepared is None and route is None) or not in_asyncio():
        return None
    return Driver(prepared, route, request, recording, scope, receive, send)


class Driver(Outgoing):
    """Run the app, the timer and the end of one response."""

    __slots__ = ()

    async def run(self, app: App, scope: Scope) -> Any:
        """Run the app, and wait until everything has left. No task of the response outlives the call."""
        result = None
        self._loop, self._task = enter(), asyncio.current_task()
        try:
            try:
                self._arm()
                self._running = True
                result = await app(scope, self._reader.receive, self.send)
                await self._returned()
            except BaseException as error:
                if not await self._raised(error):
                    raise
            finally:
                self._running = self._quick = False
                if self._loop.last is self._task:
                    self._loop.last = None
                self._task = None
                self._channel.closed = True
                self._reader.close()
                self._loop.leave(self)
                await ended((self._reader.pending, self._channel.writer))
        except BaseException as error:
            if self._tap is not None:
                await self._tap.raised(error)
            raise
        if self._tap is not None:
            self._tap.returned()
        return result

    def inside(self, scope: Scope) -> Scope:
        """Return the scope for the app."""
        policy = self._policy
        if policy is None:
            return scope
        if holds.made:
            self._watch = scope[holds.KEY] = holds.Watch(policy.on_hold, policy.hold_limit)
        if policy.hide_encodings:
            kept = [pair for pair in scope["headers"] if bytes(pair[0]).lower() != b"accept-encoding"]
            return {**scope, "headers": kept}
        return scope

    # The timer and the writer.

    def _arm(self) -> None:
        """Set the timer to the earliest deadline."""
        if self._task is None:
            return
        at = self._machine.deadline if self._machine is not None and self._idle else None
        if self._hops is not None and (other := self._hops.deadline) is not None:
            at = other if at is None else min(at, other)
        if at is not None:
            self._loop.set_timer(self, at, clock())

    @property
    def _idle(self) -> bool:
        """Whether the policy's machine may be woken. Not while a message is under way: its bytes would come between."""
        channel = self._channel
        under_way = self._flying or channel.waiting or channel.writer is not None
        return not (self._over or under_way or channel.broken is not None)

    def due(self, now: float) -> None:
        """Wake the machines whose deadline has come. The timer calls this."""
        machine = self._machine
        try:
            if machine is not None and self._idle and (at := machine.deadline) is not None and at <= now:
                self._leave(machine.wake(now))
            if self._hops is not None:
                self._hops.wake(now)
        except Exception as error:
            self._channel.broken = error
            self.settled(error)
        self._arm()

    def settled(self, error: BaseException | None) -> None:
        """React: everything has left, or the channel to the server broke with ``error``."""
        if self._task is None or isinstance(error, asyncio.CancelledError):
            return
        if error is None:
            self._look()
            self._arm()
        else:
            self._quick = False
            if isinstance(error, HopCut):
                self._cut = error
                self._answered()
                if self._running and not self._channel.waiting and self._hops is not None and not self._hops.ended:
                    self._cancel()
            elif isinstance(error, OSError) or self._hops is not None:
                if self._recording is not None and isinstance(error, OSError):
                    self._recording.gone = True
                self._reader.lost(f"a message could not be sent: {error}")
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    def _answered(self) -> None:
        """The hops ended the response: ``receive`` may say so to the app, and nothing else happens to it."""
        self._reader.over()
        self._reader.lost("a hop ended the response")

    def reader_lost(self) -> None:
        """React: the reader has left, and the app has not learned of it."""
        self._quick = False
        in_send = self._channel.waiting or asyncio.current_task() is self._task  # that send raises
        if self._reader.what == "cancel" and self._running and not in_send:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()

    # The end.

    def _uncancelled(self) -> bool:
        """Undo the cancellation by this driver. Return False if something else cancelled the call, too."""
        if self._cancelled and self._task is not None and self._task.cancelling():
            return self._task.uncancel() == 0
        return self._cancelled

    async def _returned(self) -> None:
        """The app returned: complete the response, or fail it if the app has not ended it."""
        self._running = False
        self._uncancelled()
        hops = self._hops
        if self._cut is not None and hops is not None and not hops.ended:
            raise self._cut
        if self._start is not None or (self._machine is not None and not self._over):
            await self._fail("returned without completing the response")
        elif hops is None:
            while (writer := self._channel.writer) is not None:
                await asyncio.wait((writer,))
        else:
            await self._finish_hops("returned without completing the response")

    async def _raised(self, error: BaseException) -> bool:
        """The app raised ``error``. Return True if the call is to return nevertheless."""
        self._running = False
        ours = self._uncancelled()
        if isinstance(error, asyncio.CancelledError):
            if ours and self._cut is not None:
                raise self._cut from None
            return ours
        if isinstance(error, ReaderLeft):
            return True
        if isinstance(error, Exception) and not isinstance(error, HopCut):
            await self._fail(type(error).__name__)
        return False

    async def _fail(self, reason: str) -> None:
        """The app broke off: send what the machines answer to that, before the server sees the failure."""
        machine, reported = self._machine, False
        try:
            if self._start is not None:
                await self._touch_nothing()
            elif machine is not None and not self._over and self._channel.broken is None:
                events = machine.receive(Cut("fin", "app", reason), clock())
                if events and isinstance(events[-1], End):
                    self._scope[FAILED], reported = reason, True
                self._leave(events)
                await self._channel.drained()
            if self._hops is not None:
                await self._finish_hops(reason)
        except OSError:
            return  # the reader has left, too; the app's error says more
        if reported:
            log.error("The app broke off (%s). An event in the stream reports it to the reader.", reason)

    async def _finish_hops(self, reason: str) -> None:
        """Wait until the hops have released everything."""
        hops, channel = self._hops, self._channel
        assert hops is not None
        if hops.fed and not hops.ended and not hops.failed:
            hops.failed = True
            hops.feed(Cut("fin", "app", reason))
        while hops.begun and not hops.over and channel.broken is None:
            if channel.writer is None and hops.deadline is None:
                if hops.failed:
                    return
                hops.check()
            self._moved = asyncio.get_running_loop().create_future()
            self._arm()
            await self._moved
        if channel.broken is not None and not hops.failed:
            raise channel.broken
