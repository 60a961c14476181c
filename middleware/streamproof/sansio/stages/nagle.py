"""A write waits for the ACK of the one before (Nagle), and the reader may delay that ACK once.

A Linux reader that reads whatever has come does not acknowledge one write at once: the write that is as long as the
one before and shorter than the longest so far. The kernel takes it for a full segment of a sender that has more. A few
writes before it are acknowledged in any case, again after a silence. Otherwise the ACK comes with the read. The end of
the response releases everything.

Holds where a segment takes any write, as on loopback. Left out: writes of more than a segment, whose rest may wait, and
readers that leave bytes in their socket.

Source: Linux net/ipv4/tcp_output.c, tcp_nagle_check(); net/ipv4/tcp_input.c, tcp_measure_rcv_mss(),
tcp_event_data_recv(), tcp_incr_quickack(), __tcp_ack_snd_check(); net/ipv4/tcp.c, __tcp_cleanup_rbuf().
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue, wire_size

_LEAST = 524  # wire bytes: TCP_MSS_DEFAULT, less the options of each segment
_FULL = 536  # TCP_MSS_DEFAULT: what a reader takes for a full segment before it has seen one
_QUICK = 16  # TCP_MAX_QUICKACKS
_RENEWS = 0.2  # seconds, TCP_RTO_MIN: after a longer silence the reader acknowledges quickly again


@dataclass(frozen=True, slots=True)
class Nagle:
    """``delay``: seconds that the reader delays an ACK; ``window``: bytes that it offers, and a segment holds."""

    timed: ClassVar[bool] = True

    delay: float = 0.042
    window: int = 65483

    def start(self, request: Request, now: float) -> Stage:
        """The connection of one response."""
        return _Nagle(self)


class _Nagle(Stage):
    def __init__(self, settings: Nagle) -> None:
        self._settings = settings
        self._queue = WireQueue()
        self._head = 0  # wire bytes of a head that leaves in the same segment as what follows it at once
        self._longest, self._last = _FULL, 0
        self._quick = 0  # writes that are acknowledged in any case
        self._came = float("-inf")
        self._acked_at = float("-inf")

    @property
    def held(self) -> int:
        return self._queue.body_bytes

    def head(self, event: Head, now: float) -> Events:
        self._head = event.size
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        if now < self._acked_at:
            self._queue.put(event)
            self.deadline = self._acked_at
            return ()
        self._send(wire_size(event), now)
        return (event,)

    def _send(self, size: int, now: float) -> None:
        """A segment of ``size`` bytes leaves: when will it be acknowledged?"""
        size, self._head = size + self._head, 0
        last, self._last = self._last, 0
        delayed = False
        if size >= self._longest:
            self._longest = min(size, self._settings.window)
        elif size >= _LEAST:
            self._last = size
            if size == last:
                self._longest, delayed = size, True
        if now - self._came > _RENEWS:
            self._quick = max(self._quick, min(self._settings.window // (2 * self._longest) or 2, _QUICK))
        elif now == self._came:  # a burst widens the window, and that is acknowledged
            self._quick, delayed = max(self._quick, 2), False
        self._came = now
        if self._quick:
            self._quick -= 1
        elif delayed:
            self._acked_at = now + self._settings.delay

    def wake(self, now: float) -> Events:
        self.deadline = None
        if self._queue.size:
            self._send(self._queue.size, now)
        return self._queue.take_all()

    def end(self, event: End, now: float) -> Events:
        return [*self._all(), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard:
            self._queue.drop()
        return [*self._all(), event]

    def _all(self) -> Events:
        self.deadline = None
        return self._queue.take_all()
