"""The parts of a trace: :class:`Request`, :class:`Response`, :class:`Chunk`, :class:`StreamEnd`, :class:`Outcome`.

``trace.py`` puts them together, ``trace_json.py`` reads and writes them. Times are seconds from the moment the request
reached the app, monotonic.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from .http import Framing, Headers, head_size

#: The reason of a complete stream whose iterable its server or bridge never closed (PEP 3333 demands it).
NEVER_CLOSED = "close() was never called"

How = Literal["fin", "rst"]


class Outcome(StrEnum):
    """How a stream ended."""

    COMPLETE = "complete"
    APP_ERROR = "app_error"
    CLIENT_GONE = "client_gone"
    CUT = "cut"
    SHUTDOWN = "shutdown"
    ABANDONED = "abandoned"


class Chunk(NamedTuple):
    """One WSGI block, ASGI body event or arrival: when it was produced, bytes, when downstream took it."""

    at: float
    size: int
    accepted_at: float | None = None
    data: bytes | None = None


class Request(NamedTuple):
    """What was asked for, as the first hop on the reader's side sees it."""

    method: str = "GET"
    target: str = "/"
    http_version: str = "1.1"
    headers: Headers = ()


class Response(NamedTuple):
    """The head: when it came, and what is in it.

    ``head_size`` is its size in bytes on the wire, None to compute it from the fields. ``framing`` is how the body is
    delimited, None for what the server would choose.
    """

    status: int
    headers: Headers = ()
    at: float = 0.0
    head_size: int | None = None
    framing: Framing | None = None

    @property
    def wire_size(self) -> int:
        """Bytes of the head on the wire."""
        return head_size(self.status, self.headers) if self.head_size is None else self.head_size


class StreamEnd(NamedTuple):
    """How and when it ended; ``by`` and ``reason`` say which hop cut it and why, ``how`` what the socket did."""

    at: float
    outcome: Outcome
    how: How | None = None
    by: str | None = None
    reason: str | None = None
