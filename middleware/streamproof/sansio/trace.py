"""What happened to one response: :class:`Trace`, its parts, and JSON (format 1) in and out.

The shape of a recording is checked on the way in. The statistics are in ``stats.py``, the faults in ``findings.py``.
Times are seconds from the moment the request reached the app, monotonic.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple, cast

from .errors import TraceError
from .http import Framing, Headers, head_size
from .stats import RunningStats, Stats, read

FORMAT = 1

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


@dataclass(frozen=True)
class Trace:
    """One recorded response.

    ``chunks`` holds every chunk, or only the first ones or none if the recorder did not keep them; :attr:`whole` says
    which. ``stats`` is right in each case.
    """

    request: Request
    response: Response | None
    chunks: tuple[Chunk, ...]
    end: StreamEnd
    server: str | None = None
    recorded: Stats | None = field(default=None, repr=False)

    @cached_property
    def stats(self) -> Stats:
        """The numbers derived from the recording."""
        return self.recorded or _measured(self)

    @property
    def head_at(self) -> float | None:
        """When the head was there, seconds; None when none came."""
        return None if self.response is None else self.response.at

    @property
    def outcome(self) -> Outcome:
        """How the stream ended."""
        return self.end.outcome

    @property
    def whole(self) -> bool:
        """Is every chunk here (and not only the statistics)?"""
        return self.recorded is None or self.recorded.chunks == sum(1 for chunk in self.chunks if chunk.size)

    @property
    def has_data(self) -> bool:
        """Are the bytes of every chunk here?"""
        return all(chunk.data is not None or not chunk.size for chunk in self.chunks)

    @property
    def body(self) -> bytes:
        """The bytes of the body; raises TraceError when they were not kept."""
        if not (self.whole and self.has_data):
            raise TraceError("This trace has no body bytes. Expected data in every chunk. Was keep_chunks off?")
        return b"".join(chunk.data or b"" for chunk in self.chunks)

    def to_dict(self) -> dict[str, Any]:
        """This trace as plain data, format 1 (README, "The trace format")."""
        request = self.request
        out: dict[str, Any] = {
            "format": FORMAT,
            "request": {
                "method": request.method,
                "target": request.target,
                "http_version": request.http_version,
                "headers": [list(pair) for pair in request.headers],
            },
            "response": None,
            "chunks": [_chunk_out(chunk) for chunk in self.chunks],
            "end": _present(
                at=self.end.at,
                outcome=str(self.end.outcome),
                how=self.end.how,
                by=self.end.by,
                reason=self.end.reason,
            ),
        }
        if (response := self.response) is not None:
            out["response"] = {
                "at": response.at,
                "status": response.status,
                "headers": [list(pair) for pair in response.headers],
                **_present(head_size=response.head_size),
                "framing": response.framing,
            }
        if self.server is not None:
            out["server"] = self.server
        if not self.whole:
            out["figures"] = self.stats.to_dict()
        return out

    def to_json(self) -> str:
        """This trace as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: object) -> Trace:
        """The trace that ``data`` describes. Raises TraceError naming the place of the first fault."""
        return _trace(_Place(data, "trace"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Trace:
        """The trace in the JSON ``text``. Raises TraceError naming the line or the place of the first fault."""
        try:
            data = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
        except json.JSONDecodeError as error:
            where = f"line {error.lineno} column {error.colno}"
            raise TraceError(
                f"The trace is not JSON: {error.msg} at {where}. Expected one JSON object, format {FORMAT}. "
                "Was the file cut short?"
            ) from None
        except UnicodeDecodeError as error:
            raise TraceError(
                f"The trace is not text: byte {error.start} is not UTF-8. Expected one JSON object, format {FORMAT}. "
                "Is it a compressed file?"
            ) from None
        return cls.from_dict(data)


def _measured(trace: Trace) -> Stats:
    running = RunningStats()
    for chunk in trace.chunks:
        running.add(chunk.at, chunk.size, chunk.accepted_at)
    return read(running, head_at=trace.head_at, end_at=trace.end.at)


def _present(**members: object) -> dict[str, object]:
    return {key: value for key, value in members.items() if value is not None}


def _chunk_out(chunk: Chunk) -> dict[str, object]:
    data = None if chunk.data is None else base64.b64encode(chunk.data).decode("ascii")
    return {"at": chunk.at, "size": chunk.size, **_present(accepted_at=chunk.accepted_at, data=data)}


class _Place:
    """A value inside the document and the path that leads to it, for errors that name the place."""

    def __init__(self, value: object, path: str) -> None:
        self.value, self.path = value, path

    def fault(self, expected: str, guess: str = "Was the file edited by hand?") -> TraceError:
        return TraceError(f"{self.path} is {_short(self.value)}. Expected {expected}. {guess}")

    def member(self, key: str) -> _Place:
        if not isinstance(self.value, dict):
            raise self.fault("an object")
        if key not in self.value:
            raise TraceError(
                f"{self.path} has no {key!r}. Expected it there (format {FORMAT}). Is it a trace of another format?"
            )
        return _Place(self.value[key], f"{self.path}.{key}")

    def optional(self, key: str) -> _Place | None:
        if not isinstance(self.value, dict):
            raise self.fault("an object")
        return None if self.value.get(key) is None else self.member(key)

    def items(self) -> list[_Place]:
        if not isinstance(self.value, list):
            raise self.fault("a list")
        return [_Place(item, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.fault("text")
        return self.value

    def choice(self, *valid: str) -> str:
        if self.value not in valid:
            raise self.fault("one of " + ", ".join(valid))
        return self.value

    def whole(self, expected: str, low: int = 0, high: float = math.inf) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            raise self.fault(expected)
        return self.value

    def seconds(self, not_before: float = 0.0, before: str = "the start") -> float:
        value = self.value
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self.fault("a number of seconds")
        if value < not_before:
            raise self.fault(f"at least {not_before:g}, the time of {before}", "Are times out of order?")
        return float(value)

    def headers(self) -> Headers:
        found = []
        for pair in self.items():
            if not (isinstance(pair.value, list) and len(pair.value) == 2):
                raise pair.fault("a list [name, value]")
            name, value = (part.text() for part in pair.items())
            found.append((name, value))
        return tuple(found)


def _short(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _trace(place: _Place) -> Trace:
    version = place.member("format")
    if version.value != FORMAT:
        raise version.fault(str(FORMAT), "Was it written by a newer streamproof?")
    ask = place.member("request")
    target = ask.optional("target")
    request = Request(
        method=ask.member("method").text(),
        target="/" if target is None else target.text(),
        http_version=ask.member("http_version").choice("1.0", "1.1", "2", "3"),
        headers=ask.member("headers").headers(),
    )
    response, last, before = None, 0.0, "the start"
    if (head := place.optional("response")) is not None:
        framing, size = head.optional("framing"), head.optional("head_size")
        response = Response(
            status=head.member("status").whole("a status from 100 to 599", 100, 599),
            headers=head.member("headers").headers(),
            at=head.member("at").seconds(),
            head_size=None if size is None else size.whole("a number of bytes"),
            framing=None if framing is None else cast(Framing, framing.choice("chunked", "close", "length")),
        )
        last, before = response.at, "the head"
    chunks = []
    for item in place.member("chunks").items():
        chunk = _chunk(item, last, before)
        chunks.append(chunk)
        last, before = chunk.at, "the chunk before it"
    finish = place.member("end")
    how, by, reason = finish.optional("how"), finish.optional("by"), finish.optional("reason")
    end = StreamEnd(
        at=finish.member("at").seconds(last, "the last chunk" if chunks else before),
        outcome=Outcome(finish.member("outcome").choice(*Outcome)),
        how=None if how is None else cast(How, how.choice("fin", "rst")),
        by=None if by is None else by.text(),
        reason=None if reason is None else reason.text(),
    )
    server, recorded = place.optional("server"), place.optional("figures")
    try:
        stats = None if recorded is None else Stats.from_dict(recorded.value)
    except (TypeError, ValueError) as error:
        raise TraceError(
            f"trace.stats cannot be read: {error}. Expected the members that to_dict() writes. "
            "Was the file edited by hand?"
        ) from None
    return Trace(request, response, tuple(chunks), end, None if server is None else server.text(), stats)


def _chunk(place: _Place, last: float, before: str) -> Chunk:
    at = place.member("at").seconds(last, before)
    size = place.member("size").whole("a number of bytes")
    accepted, encoded = place.optional("accepted_at"), place.optional("data")
    data = None
    if encoded is not None:
        try:
            data = base64.b64decode(encoded.text(), validate=True)
        except binascii.Error:
            raise encoded.fault("base64") from None
        if len(data) != size:
            raise encoded.fault(f"{size} bytes, as its size says, not {len(data)}")
    return Chunk(at, size, None if accepted is None else accepted.seconds(at, "its production"), data)
