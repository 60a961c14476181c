"""Go's two output buffers: 2048 bytes before the framing, 4096 bytes with head and framing before the socket.

They work like ``bufio.Writer``: what fits is kept, a full buffer is sent, and a write larger than an empty buffer
bypasses it. Nothing flushes them before the end, except ReverseProxy's FlushInterval: ``latency`` seconds after the
head, even if no byte has come by then, and afterwards ``latency`` seconds after the first byte that no flush has sent.
A product that flushes each write holds nothing: leave the stage out.

Source: golang/go src/net/http/server.go, bufferBeforeChunkingSize, newBufioWriterSize(), chunkWriter.Write(),
chunkWriter.writeHeader();
src/net/http/httputil/reverseproxy.go, copyBuffer(), flushInterval(), copyResponse(), maxLatencyWriter;
src/bufio/bufio.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import chunk_overhead, without
from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..trace import Request
from ..wire import WireQueue, wire_size


@dataclass(frozen=True, slots=True)
class GoWriter:
    """``body`` and ``wire`` are the two buffers, ``read`` what is copied at once, in bytes.

    ``counts``: a response that ended before anything left gets a Content-Length.
    ``latency`` in seconds, 0 for none. ``on_cut``: an answer that breaks off delivers what waits here (``deliver``), or
    loses it (``discard``) because the handler panics.
    """

    body: int = 2048
    wire: int = 4096
    read: int = 32768
    latency: float = 0.0
    counts: bool = False
    on_cut: str = "deliver"

    @property
    def timed(self) -> bool:
        """Does it ever set a deadline?"""
        return self.latency > 0

    def start(self, request: Request, now: float) -> Stage:
        """The buffers of one response."""
        return _GoWriter(self, request.http_version == "1.1")


class _GoWriter(Stage):
    def __init__(self, settings: GoWriter, frames: bool) -> None:
        self._settings, self._chunked = settings, frames
        self._head: Head | None = None
        self._body = bytearray()
        self._queue = WireQueue()

    @property
    def held(self) -> int:
        return len(self._body) + self._queue.body_bytes

    def head(self, event: Head, now: float) -> Events:
        self._chunked = self._chunked and event.framing == "chunked"
        self._head = event
        self._due(now)
        return ()

    def _due(self, now: float) -> None:
        """Something is here that no flush has sent: let the interval run, unless it does."""
        if self._settings.latency and self.deadline is None:
            self.deadline = now + self._settings.latency

    def data(self, event: Data, now: float) -> Events:
        data, read = memoryview(event.data), self._settings.read
        out = self._write(data[:read])
        for start in range(read, len(data), read):
            out += self._write(data[start : start + read])
        self._due(now)
        return out

    def _write(self, data: memoryview) -> list[Event]:
        """``bufio.Writer.Write`` of the body buffer."""
        out: list[Event] = []
        size, body = self._settings.body, self._body
        while len(data) > size - len(body):
            if body:
                room = size - len(body)
                body += data[:room]
                data = data[room:]
                out += self._frame(bytes(body))
                body.clear()
            else:
                out += self._frame(bytes(data))
                data = data[:0]
        body += data
        return out

    def _frame(self, data: bytes) -> list[Event]:
        """``chunkWriter.Write``: the head before the first bytes, framing round them."""
        out: list[Event] = []
        if self._head is not None:
            head, self._head = self._head, None
            out += self._wire(head)
        if not self._chunked:
            return out + self._wire(Data(data))
        lead = chunk_overhead(len(data)) - 2
        return out + self._wire(Data(b"", lead)) + self._wire(Data(data)) + self._wire(Data(b"", 0, 2))

    def _wire(self, event: Head | Data) -> list[Event]:
        """``bufio.Writer.Write`` of the connection's buffer."""
        queue, size = self._queue, self._settings.wire
        before, added = queue.size, wire_size(event)
        queue.put(event)
        if before + added <= size:
            return []
        left = before + added - size if before else added
        return queue.take(queue.size if left > size or not before else size)

    def _flush(self) -> list[Event]:
        out = self._frame(bytes(self._body)) if self._body else []
        self._body.clear()
        head: list[Event] = [] if self._head is None else [self._head]
        self._head = self.deadline = None
        return [*out, *head, *self._queue.take_all()]

    def wake(self, now: float) -> Events:
        return self._flush()

    def end(self, event: End, now: float) -> Events:
        head = self._head
        if self._settings.counts and head is not None and head.framing != "length" and self._body:
            headers = without(head.headers, "transfer-encoding", "connection")
            self._head = head.replace((*headers, ("Content-Length", str(len(self._body)))), framing="length")
            self._chunked, event = False, End()
        return [*self._flush(), event]

    def cut(self, event: Cut, now: float) -> Events:
        if event.discard or self._settings.on_cut == "discard":
            self._body.clear()
            return [*self._queue.drop(), *self._flush(), event]
        return [*self._flush(), event]
