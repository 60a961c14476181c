"""A recording survives JSON, and a malformed one is refused with the place of its fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproof import Trace, TraceError
from streamproof.sansio.http import Framing
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd

from ..support.traces import stream, tokens

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
fields = st.lists(st.tuples(names, names), max_size=4).map(tuple)
times = st.floats(0, 1e6, allow_nan=False)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    moments = sorted(draw(st.lists(times, min_size=2, max_size=8)))
    chunks = []
    for at in moments[1:-1]:
        data = draw(st.none() | st.binary(max_size=20))
        size = draw(st.integers(0, 1 << 40)) if data is None else len(data)
        accepted = draw(st.none() | st.floats(at, at + 5))
        chunks.append(Chunk(at, size, accepted, data))
    size_of_head = draw(st.none() | st.integers(0, 9000))
    framing: Framing | None = draw(st.sampled_from(["chunked", "close", "length", None]))
    response = draw(
        st.none() | st.builds(Response, st.integers(100, 599), fields, st.just(moments[0]), st.just(size_of_head))
    )
    if response is not None:
        response = Response(response.status, response.headers, response.at, response.head_size, framing)
    end = StreamEnd(moments[-1], draw(st.sampled_from(Outcome)), draw(st.sampled_from(["fin", "rst", None])))
    version = draw(st.sampled_from(["1.0", "1.1", "2"]))
    return Trace(Request("GET", draw(names), version, draw(fields)), response, tuple(chunks), end, draw(names))


@given(traces())
def test_json_gives_back_the_same_trace(trace: Trace) -> None:
    assert Trace.from_json(trace.to_json()) == trace


def test_a_trace_without_its_chunks_keeps_its_stats() -> None:
    full = tokens()
    thin = Trace(full.request, full.response, (), full.end, None, full.stats)
    again = Trace.from_json(thin.to_json())
    assert again.stats == full.stats
    assert not again.whole


def test_the_size_of_the_head_is_counted_when_it_is_not_named() -> None:
    trace = stream([(0.0, 5)], headers=[("A", "bc")], head_size=None)
    assert trace.response is not None
    assert trace.response.wire_size == len(b"HTTP/1.1 200 OK\r\nA: bc\r\n\r\n")


GOOD = tokens(3).to_dict()


def broken(path: str, value: Any) -> dict[str, Any]:
    """The good trace with the member at ``path`` (dots, indexes) replaced, or removed for ``...``."""
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    place: Any = data
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return data


HAND = "Was the file edited by hand?"
SECONDS = "a number of seconds from 0 to 1,000,000,000"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, "trace.format is 2. Expected 1. Was it written by a newer streamproof?"),
        (
            "request",
            ...,
            "trace has no 'request'. Expected it there. Is it a trace of another format than 1?",
        ),
        ("request.method", 7, f"trace.request.method is 7. Expected text. {HAND}"),
        (
            "request.http_version",
            "0.9",
            f"trace.request.http_version is '0.9'. Expected one of 1.0, 1.1, 2, 3. {HAND}",
        ),
        ("request.headers", {}, f"trace.request.headers is {{}}. Expected a list. {HAND}"),
        ("request.headers", [["A"]], f"trace.request.headers[0] is ['A']. Expected a list [name, value]. {HAND}"),
        (
            "response.status",
            99,
            f"trace.response.status is 99. Expected a status from 100 to 599. {HAND}",
        ),
        (
            "response.framing",
            "gzip",
            f"trace.response.framing is 'gzip'. Expected one of chunked, close, length. {HAND}",
        ),
        (
            "response.at",
            -1,
            f"trace.response.at is -1. Expected {SECONDS}. {HAND}",
        ),
        ("chunks.1.at", "x", f"trace.chunks[1].at is 'x'. Expected {SECONDS}. {HAND}"),
        ("chunks.1.at", float("nan"), f"trace.chunks[1].at is nan. Expected {SECONDS}. {HAND}"),
        (
            "chunks.2.at",
            0.1,
            "trace.chunks[2].at is 0.1. Expected at least 0.5, the time of the chunk before it. "
            "Are times out of order?",
        ),
        ("chunks.0.size", 1.5, f"trace.chunks[0].size is 1.5. Expected a number of bytes, 0 or more. {HAND}"),
        ("chunks.0.size", True, f"trace.chunks[0].size is true. Expected a number of bytes, 0 or more. {HAND}"),
        ("chunks.0.data", "!", f"trace.chunks[0].data is '!'. Expected base64. {HAND}"),
        (
            "chunks.0.data",
            "YWI=",
            f"trace.chunks[0].data has 2 bytes. Expected 16 bytes, as its size says. {HAND}",
        ),
        (
            "chunks.1.accepted_at",
            0.2,
            "trace.chunks[1].accepted_at is 0.2. Expected at least 0.5, the time of its production. "
            "Are times out of order?",
        ),
        (
            "end.outcome",
            "fine",
            "trace.end.outcome is 'fine'. Expected one of complete, app_error, client_gone, cut, shutdown, abandoned. "
            + HAND,
        ),
        (
            "end.at",
            0.2,
            "trace.end.at is 0.2. Expected at least 1, the time of the last chunk. Are times out of order?",
        ),
        ("end.how", "bang", f"trace.end.how is 'bang'. Expected one of fin, rst. {HAND}"),
        ("chunks.0", 5, f"trace.chunks[0] is 5. Expected an object. {HAND}"),
    ],
)
def test_a_malformed_trace_is_refused_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        Trace.from_dict(broken(path, value))
    assert str(caught.value) == message


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_something_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(TraceError, match=r"^trace is .*\. Expected an object\."):
        Trace.from_dict(data)


def test_text_that_is_no_json_is_refused_with_its_line() -> None:
    with pytest.raises(TraceError) as caught:
        Trace.from_json('{"format": 1,\n oops')
    assert str(caught.value) == (
        "The trace is not JSON: Expecting property name enclosed in double quotes at line 2 column 2. "
        "Expected one JSON object, format 1. Was the file cut short?"
    )


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(TraceError, match="byte 0 is not UTF-8"):
        Trace.from_json(b"\xff\xfe\xff")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["format", "request", "response", "chunks", "end", "at"]), inner)
        ),
    )
)
def test_no_document_gets_a_traceback(data: Any) -> None:
    try:
        Trace.from_dict(data)
    except TraceError:
        return
    raise AssertionError("that document is no trace")
