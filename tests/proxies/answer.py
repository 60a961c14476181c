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

from .schedules import Schedule

_LINGER_NONE = struct.pack("ii", 1, 0)  # close() then sends RST


@dataclass(slots=True)
class Emissions:
    """What the origin did for one request: the version it was asked with, the head, each write, the end."""

    version: str
    framing: Framing = "close"
    fields: Headers = ()
    head_size: int = 0
    head_at: float | None = None
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    end_at: float | None = None
    outcome: Outcome = Outcome.COMPLETE
    how: How | None = None

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
    """One answer as it is written; ``joins`` keeps every other write back, as :mod:`tests.proxies.origin` says."""

    def __init__(
        self, sock: socket.socket, schedule: Schedule, log: Emissions, method: str, asked: Headers, joins: bool
    ) -> None:
        self._sock, self._schedule, self._log, self._joins = sock, schedule, log, joins
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
        """Write everything in time; False when the connection is closed or to be closed."""
        schedule, log = self._schedule, self._log
        due = _wait(time.monotonic() + schedule.head_after)
        if schedule.headless:
            return self._die(_wait(due + schedule.end_after))
        pending = b""
        if schedule.head_joined and schedule.writes and not self._bare:
            pending = self._head
        else:
            log.head_at = due = time.monotonic()
            self._sock.sendall(self._head)
        if self._bare:
            log.end_at = time.monotonic()
            return self._keep
        for at, wire, data in self._pieces():
            now = _wait(due := due + at)
            if log.head_at is None:
                log.head_at = now
            log.chunks.append((now, data))
            if schedule.end_joined and len(log.chunks) == len(schedule.writes):
                log.end_at = now
            pending += wire
            if not self._joins or len(log.chunks) % 2 == 0 or len(log.chunks) == len(schedule.writes):
                self._sock.sendall(pending)
                pending = b""
        if log.end_at is not None:
            return self._keep
        now = _wait(due + schedule.end_after)
        if schedule.dies is not None:
            return self._die(now)
        if log.framing == "chunked":
            self._sock.sendall(b"0\r\n\r\n")
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
        if schedule.end_joined and out and self._log.framing == "chunked" and schedule.dies is None:
            after, wire, data = out[-1]
            out[-1] = (after, wire + b"0\r\n\r\n", data)
        return out

    def _die(self, now: float) -> bool:
        self._log.end_at, self._log.outcome, self._log.how = now, Outcome.APP_ERROR, self._schedule.dies
        if self._schedule.dies == "rst":
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._sock.close()
        return False


def _wait(until: float) -> float:
    """Sleep until that time; the time it is then."""
    left = until - time.monotonic()
    if left > 0:
        time.sleep(left)
    return time.monotonic()
