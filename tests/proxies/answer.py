"""One answer of the origin as it is put on the wire, and the log of it.

Knows HTTP/1 as far as an answer needs it, and the clock. Does not know which proxy asked: to HTTP/1.0 it answers with a
close-delimited body where the schedule says chunked, as a correct server does. Times are absolute, seconds on the
monotonic clock, taken just before the write; a head and a chunk of one system call have the same.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field

from streamproof.sansio.http import Framing, Headers, has_body, header, tokens
from streamproof.sansio.http import reason as phrase
from streamproof.sansio.trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace

from . import waits
from .schedules import Schedule

_LINGER_NONE = struct.pack("ii", 1, 0)  # close() then sends RST
_JITTER = 0.001  # seconds by which a write may be late and the next one still come at its own moment


@dataclass(slots=True)
class Emissions:
    """What the origin did for one request: the version it was asked with, the head, each write, the end.

    ``late``: by how much the latest of them came after its moment in the schedule, or after the moment logged for it,
    in seconds.
    """

    version: str
    framing: Framing = "close"
    fields: Headers = ()
    head_size: int = 0
    head_at: float | None = None
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    end_at: float | None = None
    outcome: Outcome = Outcome.COMPLETE
    how: How | None = None
    late: float = 0.0

    def trace(self, request: Request, status: int, started: float) -> Trace:
        """The recording of this answer to the reader's ``request``, which was sent at ``started``."""
        response = None
        if self.head_at is not None:
            at = max(self.head_at - started, 0.0)
            response = Response(status, self.fields, at, self.head_size, self.framing)
        chunks = tuple(Chunk(at - started, len(data), None, data) for at, data in self.chunks)
        assert self.end_at is not None
        return Trace(request, response, chunks, StreamEnd(self.end_at - started, self.outcome, self.how))


class Answer:
    """One answer as it is written; ``buffers`` keeps every other write back, as :mod:`tests.proxies.origin` says."""

    def __init__(
        self, sock: socket.socket, schedule: Schedule, log: Emissions, method: str, asked: Headers, buffers: bool
    ) -> None:
        self._sock, self._schedule, self._log, self._buffers = sock, schedule, log, buffers
        self._waited = 0.0
        self._bare = not has_body(method, schedule.status)  # a hop may ask GET for a HEAD
        old = log.version == "1.0"
        log.framing = "close" if schedule.framing == "chunked" and old else schedule.framing
        wish = tokens(asked, "connection")
        self._keep = log.framing != "close" and ("keep-alive" in wish if old else "close" not in wish)
        log.fields = schedule.fields(log.framing)
        if not self._keep:
            log.fields = (*log.fields, ("Connection", "close"))
        elif old and header(log.fields, "connection") is None:
            log.fields = (*log.fields, ("Connection", "keep-alive"))
        lines = [f"HTTP/1.1 {schedule.status} {phrase(schedule.status)}", *map(": ".join, log.fields), "", ""]
        self._head = "\r\n".join(lines).encode("latin-1")
        log.head_size = len(self._head)

    def play(self) -> bool:
        """Write everything in time; False when the connection is closed or to be closed.

        A write that was late delays those after it: no two come closer to each other than the schedule says.
        """
        schedule, log = self._schedule, self._log
        due = self._wait(time.monotonic() + schedule.head_after)
        if schedule.headless:
            return self._die(self._wait(due + schedule.end_after))
        pending = b""
        if schedule.head_with_first and schedule.writes and not self._bare:
            pending = self._head
        else:
            log.head_at = due = self._wait(due)
            self._send(self._head)
        if self._bare:
            log.end_at = time.monotonic()
            return self._keep
        for at, wire, data in self._pieces():
            now = self._wait(due + at)
            due = max(due + at, now - _JITTER)
            if log.head_at is None:
                log.head_at = now
            log.chunks.append((now, data))
            if schedule.end_with_last and len(log.chunks) == len(schedule.writes):
                log.end_at = now
            pending += wire
            if not self._buffers or len(log.chunks) % 2 == 0 or len(log.chunks) == len(schedule.writes):
                self._send(pending)
                pending = b""
        if log.end_at is not None:
            return self._keep
        now = self._wait(due + schedule.end_after)
        if schedule.dies is not None:
            return self._die(now)
        if log.framing == "chunked":
            self._send(b"0\r\n\r\n")
        log.end_at = now
        return self._keep

    def _pieces(self) -> list[tuple[float, bytes, bytes]]:
        """Per write: seconds since the one before, the bytes on the wire, the bytes of the body in them."""
        schedule, out, taken, whole = self._schedule, [], 0, self._schedule.body
        for write in schedule.writes:
            data = whole[taken : taken + write.size]
            taken += write.size
            wire = b"%x\r\n%b\r\n" % (len(data), data) if self._log.framing == "chunked" else data
            out.append((write.after, wire, data))
        if schedule.end_with_last and out and self._log.framing == "chunked" and schedule.dies is None:
            after, wire, data = out[-1]
            out[-1] = (after, wire + b"0\r\n\r\n", data)
        return out

    def _die(self, now: float) -> bool:
        self._log.end_at, self._log.outcome, self._log.how = now, Outcome.APP_ERROR, self._schedule.dies
        if self._schedule.dies == "rst":
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._sock.close()
        return False

    def _wait(self, until: float) -> float:
        """Sleep until that time; the time it is then."""
        left = until - time.monotonic()
        if left > 0:
            time.sleep(left)
        self._waited = waits.of_this_thread()
        now = time.monotonic()
        self._log.late = max(self._log.late, now - until)
        return now

    def _send(self, data: bytes) -> None:
        """Write at the moment that ``_wait`` returned."""
        self._sock.sendall(data)
        self._log.late = max(self._log.late, waits.of_this_thread() - self._waited)
