"""The JSON form of a trace, format 1: one table that describes it, and reading and writing by it.

The fields of the table are in ``decode/``, with the limits. Every fault is a TraceError that names the place.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from .decode.annotations import field_of
from .decode.containers import Items, Row
from .decode.documents import json_data
from .decode.fault import Fault
from .decode.fields import Base64, Choice, Seconds, Text, Whole
from .decode.limits import CHUNKS, FIELDS, HEAD_SIZE, TRACE_SIZE
from .decode.tables import Member, Table, optional
from .errors import TraceError
from .http import Headers
from .stats import GAP_BOUNDS, Stats
from .trace_parts import Chunk, Outcome, Request, Response, StreamEnd

FORMAT = 1

_GUESS = "Was the file edited by hand?"
_ORDER = "Are times out of order?"
_VERSION = "Was it written by a newer streamproof?"


def _chunk(at: float, size: int, accepted_at: float | None, data: bytes | None) -> Chunk:
    if accepted_at is not None and accepted_at < at:
        raise _early(accepted_at, at, "its production").at(".accepted_at")
    if data is not None and len(data) != size:
        raise Fault(data, f"{size:,} bytes, as its size says", fact=f"has {len(data):,} bytes").at(".data")
    return Chunk(at, size, accepted_at, data)


def _stream_end(at: float, outcome: str, how: Any, by: str | None, reason: str | None) -> StreamEnd:
    return StreamEnd(at, Outcome(outcome), how, by, reason)


def _parts(format: int, figures: Stats | None, **parts: Any) -> dict[str, Any]:
    """The members of a trace; raises Fault for times that are out of order."""
    response, end = parts["response"], parts["end"]
    last, before = (0.0, "the start") if response is None else (response.at, "the head")
    for number, chunk in enumerate(parts["chunks"]):
        if chunk.at < last:
            raise _early(chunk.at, last, before).at(".at").at(f"[{number}]").at(".chunks")
        last, before = chunk.at, "the chunk before it"
    if end.at < last:
        raise _early(end.at, last, "the last chunk" if parts["chunks"] else before).at(".at").at(".end")
    return {**parts, "recorded": figures}


def _early(at: float, than: float, what: str) -> Fault:
    return Fault(at, f"at least {than:.9g}, the time of {what}", _ORDER)


def _stats_field(name: str, annotation: Any) -> Member:
    if name == "gaps":
        return optional(name, Items(item=Whole(), length=len(GAP_BOUNDS) + 1))
    return optional(name, field_of(getattr(annotation, "__forward_arg__", annotation)))


_SIZE = Whole(what="a number of bytes")
_HEADERS = Items(item=Row(fields=(Text(), Text()), hint="a list [name, value]"), most=FIELDS, hint="a list")

REQUEST = Table(
    make=Request,
    members=(
        Member("method", Text()),
        optional("target", Text(), "/"),
        Member("http_version", Choice(values=("1.0", "1.1", "2", "3"))),
        Member("headers", _HEADERS),
    ),
)
RESPONSE = Table(
    make=Response,
    members=(
        Member("status", Whole(low=100, high=599, what="a status")),
        Member("headers", _HEADERS),
        Member("at", Seconds()),
        optional("head_size", Whole(high=HEAD_SIZE, what="a number of bytes")),
        optional("framing", Choice(values=("chunked", "close", "length"))),
    ),
)
CHUNK = Table(
    make=_chunk,
    members=(
        Member("at", Seconds()),
        Member("size", _SIZE),
        optional("accepted_at", Seconds()),
        optional("data", Base64()),
    ),
)
END = Table(
    make=_stream_end,
    members=(
        Member("at", Seconds()),
        Member("outcome", Choice(values=tuple(Outcome))),
        optional("how", Choice(values=("fin", "rst"))),
        optional("by", Text()),
        optional("reason", Text()),
    ),
)
STATS = Table(
    make=Stats,
    others="refuse",
    only_given=True,
    members=tuple(_stats_field(name, Stats.__annotations__[name]) for name in Stats._fields),
)
TRACE = Table(
    guess=f"Is it a trace of another format than {FORMAT}?",
    make=_parts,
    members=(
        Member("format", Whole(low=FORMAT, high=FORMAT, hint=str(FORMAT), guess=_VERSION)),
        Member("request", REQUEST),
        optional("response", RESPONSE),
        Member("chunks", Items(item=CHUNK, most=CHUNKS, hint="a list")),
        Member("end", END),
        optional("server", Text()),
        optional("figures", STATS),
    ),
)


def data(text: str | bytes) -> Any:
    """The data in the JSON ``text``. Raises TraceError naming the line of the fault."""
    try:
        return json_data(text, most=TRACE_SIZE, expected=f"one JSON object, format {FORMAT}")
    except Fault as fault:
        raise TraceError(fault.sentence("The trace", _GUESS)) from None


def parts(data: object) -> dict[str, Any]:
    """The members of the trace that ``data`` describes. Raises TraceError naming the place of the first fault."""
    try:
        found: dict[str, Any] = TRACE.read(data)
    except Fault as fault:
        raise TraceError(fault.sentence("trace", _GUESS)) from None
    return found


def document(
    request: Request,
    response: Response | None,
    chunks: Sequence[Chunk],
    end: StreamEnd,
    server: str | None,
    stats: Stats | None,
) -> dict[str, Any]:
    """A trace with these members as plain data."""
    out: dict[str, Any] = {
        "format": FORMAT,
        "request": {
            "method": request.method,
            "target": request.target,
            "http_version": request.http_version,
            "headers": _pairs(request.headers),
        },
        "response": None,
        "chunks": [_chunk_out(chunk) for chunk in chunks],
        "end": _present(at=end.at, outcome=str(end.outcome), how=end.how, by=end.by, reason=end.reason),
    }
    if response is not None:
        out["response"] = {
            "at": response.at,
            "status": response.status,
            "headers": _pairs(response.headers),
            **_present(head_size=response.head_size),
            "framing": response.framing,
        }
    if server is not None:
        out["server"] = server
    if stats is not None:
        out["figures"] = stats.to_dict()
    return out


def _pairs(headers: Headers) -> list[list[str]]:
    return [list(pair) for pair in headers]


def _present(**members: object) -> dict[str, object]:
    return {key: value for key, value in members.items() if value is not None}


def _chunk_out(chunk: Chunk) -> dict[str, object]:
    data = None if chunk.data is None else base64.b64encode(chunk.data).decode("ascii")
    return {"at": chunk.at, "size": chunk.size, **_present(accepted_at=chunk.accepted_at, data=data)}
