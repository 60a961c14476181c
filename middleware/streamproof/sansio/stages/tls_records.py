"""Output is collected in a buffer of one TLS record and sent when it is full.

nginx's ``ssl_buffer_size``: bytes that are written without a flush wait until the record is full or the response ends,
head and chunk framing included. Source: nginx src/event/ngx_event_openssl.c ngx_ssl_send_chain().
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue


@dataclass(frozen=True, slots=True)
class TlsRecords:
    """``size`` in bytes of plain text a record."""

    tls: ClassVar[bool] = True

    size: int = 16384

    def start(self, request: Request, now: float) -> Stage:
        """The record buffer of one response."""
        return _TlsRecords(self)


class _TlsRecords(Stage):
    def __init__(self, settings: TlsRecords) -> None:
        self._size = settings.size
        self._queue = WireQueue()

    @property
    def held(self) -> int:
        return self._queue.body_bytes

    def head(self, event: Head, now: float) -> Events:
        return self._put(event)

    def data(self, event: Data, now: float) -> Events:
        return self._put(event)

    def _put(self, event: Head | Data) -> Events:
        queue = self._queue
        queue.put(event)
        if queue.size < self._size:
            return ()
        return queue.take(queue.size - queue.size % self._size)

    def end(self, event: End, now: float) -> Events:
        return [*self._queue.take_all(), event]

    def cut(self, event: Cut, now: float) -> Events:
        return [*(self._queue.drop() if event.discard else self._queue.take_all()), event]
