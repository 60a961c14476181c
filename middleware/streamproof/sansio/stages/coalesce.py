"""Small writes wait for more bytes, or for a while.

Fewer than ``size`` wire bytes wait until ``delay`` seconds after the first of them, until the end of the message, or
until ``size`` bytes are there; then all of them leave. Linux does this with a partial segment that was sent with
MSG_MORE (tcp(7), TCP_CORK: "200 millisecond ceiling"), and HAProxy uses that flag while it expects more (haproxy
src/stconn.c, option http-no-delay in its configuration manual). A segment is never longer than half of the widest
window that the reader has offered (Linux include/net/tcp.h, tcp_bound_to_half_wnd()). On loopback that is the smaller
one, and it grows while the reader's window opens.

Left out: the ACK of a full segment releases its tail. It does so at once unless the ACK is delayed (40 ms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue


@dataclass(frozen=True, slots=True)
class Coalesce:
    """``size`` of a segment in wire bytes, of which ``options`` are TCP's; ``delay`` in seconds.

    ``grows``: the sizes after the first, second … full segment.
    """

    timed: ClassVar[bool] = True

    size: int
    delay: float
    options: int = 0
    grows: tuple[int, ...] = ()

    def start(self, request: Request, now: float) -> Stage:
        """The queue of one response."""
        return _Coalesce(self)


class _Coalesce(Stage):
    def __init__(self, settings: Coalesce) -> None:
        self._settings = settings
        self._size = settings.size - settings.options
        self._later = list(reversed(settings.grows))
        self._queue = WireQueue()

    @property
    def held(self) -> int:
        return self._queue.body_bytes

    def head(self, event: Head, now: float) -> Events:
        return self._put(event, now)

    def data(self, event: Data, now: float) -> Events:
        return self._put(event, now)

    def _put(self, event: Head | Data, now: float) -> Events:
        self._queue.put(event)
        if self._queue.size >= self._size:
            if self._later:
                self._size = self._later.pop()
            return self.wake(now)
        if self.deadline is None:
            self.deadline = now + self._settings.delay
        return ()

    def wake(self, now: float) -> Events:
        self.deadline = None
        return self._queue.take_all()

    def end(self, event: End, now: float) -> Events:
        return [*self.wake(now), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard:
            self.deadline = None
            return [*self._queue.drop(), event]
        return [*self.wake(now), event]
