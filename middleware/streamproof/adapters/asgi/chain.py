"""Feed the hops of a via behind an ASGI app, in the process, and send what leaves them in order: :class:`Hops`.

This file decides nothing: the machine does. The recorder's tap lies before the hops, so a chunk is recorded once
everything that it made the hops release has been sent. What an end means for the app is in ``driver.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...sansio.machine import Cut, Data, End, Event, Events, Head, Machine
from ...sansio.outcome import Ending
from ...sansio.trace import Outcome, Request
from ..recording import Recording, clock
from ..via import HopCut, Leg, Route, server_fields
from .channel import Channel
from .files import FILES, pieces
from .scope import Message, texts


class Hops:
    """The hops of ``route`` in one response. ``answered`` is called when they end the response in the app's place."""

    __slots__ = (
        "_answered",
        "_channel",
        "_closed",
        "_leg",
        "_name",
        "_recording",
        "_start",
        "_trailers",
        "ended",
        "failed",
        "fed",
        "machine",
        "over",
    )

    def __init__(
        self,
        route: Route,
        request: Request,
        channel: Channel,
        recording: Recording | None,
        answered: Callable[[], object],
    ) -> None:
        self.machine: Machine = route.start(request, clock())
        self._leg, self._name = Leg(request, self.machine, None), route.text
        self._channel, self._recording, self._answered = channel, recording, answered
        self._start: Message = {"type": "http.response.start"}
        self._trailers = False
        self._closed = False  # an end or a cut is on its way
        #: The head has come; the app has ended the response; the app broke off.
        self.fed = self.ended = self.failed = False
        #: The end has left.
        self.over = False

    async def send(self, message: Message) -> None:
        """Take ``message``. Return when everything that it made the hops release has left."""
        if self._closed and not self.ended:
            await self._channel.drained()
            raise ConnectionAbortedError(f"{self._name} has already answered in the app's place.")
        if message["type"] in FILES:
            async for piece in pieces(message):
                self.body(piece, more=True)
                await self._channel.drained()
            self.body(b"", more=message["type"] == FILES[1] and bool(message.get("more_body", False)))
        else:
            self.take(message)
        await self._channel.drained()

    def take(self, message: Message) -> None:
        """Take any message except a file."""
        kind = message["type"]
        if kind == "http.response.start":
            self._start, self._trailers, self.fed = {**message}, bool(message.get("trailers", False)), True
            headers = texts(message.get("headers", ()))
            if self._recording is not None:
                self._recording.head(message["status"], headers)
            self.feed(self._leg.head(message["status"], headers))
        elif kind == "http.response.body":
            self.body(bytes(message.get("body") or b""), more=bool(message.get("more_body", False)))
        else:
            self._channel.put(message)
            if kind == "http.response.trailers" and self.ended and not message.get("more_trailers", False):
                self._finish()

    def body(self, data: bytes, *, more: bool) -> None:
        """Take a piece of the body. Without ``more`` it is the last one."""
        produced = clock()
        if data and self._leg.bodied:
            self.feed(self._leg.data(data))
        if data and self._recording is not None:
            self._channel.put(partial(self._took, produced, data))
        if not more and not self.ended:
            self.ended = True
            self.feed(self._leg.end())
            if not self._trailers:
                self._finish()

    def feed(self, event: Event) -> None:
        """Take ``event`` as the app's server would write it."""
        now = clock()
        self.wake(now)
        if not self._closed:
            self._leave(self.machine.receive(event, now))

    def wake(self, now: float) -> None:
        """Wake the machine if its deadline has come."""
        deadline = self.machine.deadline
        if deadline is not None and deadline <= now and not self._closed:
            self._leave(self.machine.wake(now))

    @property
    def begun(self) -> bool:
        """Whether there is an end to wait for."""
        return self.fed or self._closed

    @property
    def deadline(self) -> float | None:
        """When the machine next wants to be woken, seconds on the driver's clock; None if never."""
        return None if self._closed else self.machine.deadline

    def check(self) -> None:
        """Raise RuntimeError if the end will never leave."""
        if not self._closed and not self.failed and self.machine.deadline is None:
            raise RuntimeError(f"{self._name} kept the end of a response for good. Expected a deadline or the end.")

    # What leaves.

    def _leave(self, events: Events) -> None:
        for event in events:
            if isinstance(event, Data):
                if event.data:
                    message = {"type": "http.response.body", "body": bytes(event.data), "more_body": True}
                    self._channel.put(message)
            elif isinstance(event, Head):
                fields = [
                    (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in server_fields(event)
                ]
                self._channel.put({**self._start, "status": event.status, "headers": fields})
            elif isinstance(event, End):
                self._closed = True
                if not self.ended:
                    self._cut(self._name, "answered in the app's place")
                self._channel.put({"type": "http.response.body", "body": b"", "more_body": False})
                self._channel.put(self._left)
            else:
                self._closed = True
                self._channel.put(partial(self._broke_off, event))

    def _left(self, sent: bool) -> None:
        self.over = sent
        if sent and not self.ended:
            self._answered()

    def _broke_off(self, cut: Cut, sent: bool) -> None:
        self.over = sent
        if sent and not self.failed:
            self._cut(cut.by or self._name, cut.reason)
            raise HopCut.of(cut, self._name)

    # The recorder's tap.

    def _took(self, produced: float, data: bytes, sent: bool) -> None:
        recording = self._recording
        if recording is not None and not recording.exported:
            recorder = recording.recorder
            recorder.chunk(produced, len(data), clock() if sent else None, data if recorder.keeps else None)

    def _finish(self) -> None:
        recording = self._recording
        if recording is None:
            return
        gone = recording.gone

        def finish(sent: bool) -> None:
            if sent:
                recording.exhausted_at = clock()
                recording.finish("complete", reader_gone=gone)

        self._channel.put(finish)

    def _cut(self, by: str, why: str | None) -> None:
        if self._recording is not None:
            self._recording.set_outcome(Ending(Outcome.CUT, by, why))
