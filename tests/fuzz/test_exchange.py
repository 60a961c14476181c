"""Hostile bytes from both sides of the relay, without sockets: declared errors only, and never a byte too many."""

from __future__ import annotations

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from streamproof.profiles import resolve
from streamproof.sansio.http import has_body
from streamproof.sansio.machine import Cut, Data, End, Event, Head
from streamproof.sansio.trace import Request
from streamproof.sockets.exchange import MAX_HEAD_SIZE, BadRequest, ReaderSide, UpstreamSide, own_answer

from .duration import fuzzer
from .wire import BODIES, accepted, chunk, pieces, requests, responses

VIAS = ["passthrough", "nginx", "nginx:proxy_http_version=1.1,gzip=on", "apache", "haproxy", "varnish", "gae-standard",
        "azure-functions", "lighttpd", "traefik", "cloudflare+nginx", "heroku", "envoy", "caddy", "fastly"]  # fmt: skip
GET = Request("GET", "/", "1.1", (("Host", "a"),))
GET10 = Request("GET", "/", "1.0", ())
HEAD = Request("HEAD", "/", "1.1", (("Host", "a"), ("Accept-Encoding", "gzip")))


@fuzzer(examples=150, parts=3)
@given(requests().flatmap(pieces), st.sampled_from(VIAS))
@example([b"GET / HTTP/1.0\r\n\r\n"], "passthrough")
@example([b"GET / HTTP/1.0\r\n\r\n"], "haproxy")
@example([b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n"], "passthrough")
@example([b"POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc"], "nginx")
@example([b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"], "passthrough")
@example([b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"], "passthrough")
def test_a_request_is_refused_or_becomes_one_valid_request(reads: list[bytes], via: str) -> None:
    try:
        found = accepted(reads)
    except BadRequest as error:
        assert own_answer(error.status, str(error)).startswith(b"HTTP/1.1 4")
        assert len(str(error)) < 1000
        return
    if found is None:
        return
    request, body = found
    assert len(body) <= sum(map(len, reads))
    assert sum(len(name) + len(value) for name, value in request.headers) <= MAX_HEAD_SIZE
    chain = resolve(via).start(request, 0.0)
    side = UpstreamSide(chain.request, len(body), "up:80")
    sent = forwarded(side.first_bytes + body)
    assert (sent[0].method, sent[0].target) == (chain.request.method.encode(), request.target.encode())
    assert sum(len(each.data) for each in sent[1]) == len(body)
    names = [name for name, _ in sent[0].headers]
    assert names.count(b"host") == 1
    assert not set(names) & {b"upgrade", b"te", b"keep-alive", b"transfer-encoding", b"expect"}


def forwarded(raw: bytes) -> tuple[h11.Request, list[h11.Data]]:
    """The one request that an upstream reads in ``raw``."""
    upstream = h11.Connection(h11.SERVER, max_incomplete_event_size=4 * MAX_HEAD_SIZE)
    upstream.receive_data(raw)
    request, data = upstream.next_event(), []
    assert isinstance(request, h11.Request)
    while isinstance(event := upstream.next_event(), h11.Data):
        data.append(event)
    assert isinstance(event, h11.EndOfMessage)
    assert upstream.trailing_data[0] == b""
    return request, data


def relayed(reads: list[bytes], request: Request, via: str, end: str) -> tuple[bytes, list[Event], UpstreamSide]:
    """What the client gets of ``reads`` from the upstream, the events that left, and the upstream's side."""
    chain = resolve(via).start(request, 0.0)
    side, out, now = UpstreamSide(chain.request, 0, "up:80"), ReaderSide(request), 0.0
    came: list[Event] = []
    left: list[Event] = []
    for read in [*reads, b""]:
        now += 0.001
        if side.over:
            break
        if not read and end == "rst":
            cut = side.reset()
            came.append(cut) if cut is not None else None
            left += chain.receive(cut, now) if cut is not None else []
            break
        for event in side.receive(read):
            came.append(event)
            left += chain.receive(event, now)
    assert side.over
    assert side.reset() is None
    assert type(came[-1]) in (End, Cut)
    assert all(type(event) is Data for event in came[1:-1])
    assert sum(len(event.data) for event in came if type(event) is Data) <= sum(map(len, reads))
    assert all(event.lead >= 0 and event.tail >= 0 for event in came if type(event) is Data)
    assert type(came[0]) is Head or (len(came) == 1 and type(came[0]) is Cut)
    assert all(event.size <= MAX_HEAD_SIZE for event in came if type(event) is Head)
    while (deadline := chain.deadline) is not None:
        left += chain.wake(deadline)
    return b"".join(bytes(piece) for event in left for piece in out.write(event)), left, side


@fuzzer(examples=200, parts=3)
@given(
    responses().flatmap(pieces),
    st.sampled_from([GET, GET10, HEAD]),
    st.sampled_from(VIAS),
    st.sampled_from(["fin", "rst"]),
)
@example([b"SSH-2.0-OpenSSH_9.2\r\n"], GET, "passthrough", "fin")
@example([b"HTTP/1.1 200 OK\r\nConnection: X-A\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"], GET, "passthrough", "fin")
@example([b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n"], GET, "passthrough", "fin")
@example([b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"], GET, "nginx", "fin")
@example([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip"], GET, "varnish:do_gzip=true", "fin")
def test_a_response_becomes_one_valid_response_or_none(
    reads: list[bytes], request: Request, via: str, end: str
) -> None:
    raw, left, side = relayed(reads, request, via, end)
    if not raw:
        assert not any(type(event) is Head for event in left)
        return
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=4 * MAX_HEAD_SIZE)
    reader.send(h11.Request(method=request.method, target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(raw)
    response = reader.next_event()
    assert isinstance(response, h11.Response)
    named = {name for name, _ in response.headers} & {b"te", b"upgrade", b"keep-alive", b"proxy-connection", b"trailer"}
    assert not named
    options = {
        option.strip() for name, value in response.headers if name == b"connection" for option in value.split(b",")
    }
    assert options <= {b"close", b"keep-alive", b"Keep-Alive", b"Close"} | {option for option in options if not option}
    if type(left[-1]) is End and has_body(request.method, response.status_code):
        if (event := drained(reader)) is h11.NEED_DATA:
            reader.receive_data(b"")
            event = drained(reader)
        assert isinstance(event, h11.EndOfMessage)
        assert reader.trailing_data[0] == b""
    assert side.fault is None or len(side.fault) < 400


def drained(reader: h11.Connection) -> object:
    """The next event that is not data."""
    while isinstance(event := reader.next_event(), h11.Data):
        pass
    return event


@fuzzer(examples=100, parts=3)
@given(
    st.lists(st.sampled_from(BODIES).filter(bool), max_size=4),
    st.data(),
    st.sampled_from(["passthrough", "nginx", "haproxy"]),
)
def test_a_valid_body_arrives_whole_however_it_is_cut(bodies: list[bytes], data: st.DataObject, via: str) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, bodies)) + b"0\r\n\r\n"
    _, left, _ = relayed(data.draw(pieces(raw)), GET, via, "fin")
    assert b"".join(bytes(event.data) for event in left if type(event) is Data) == b"".join(bodies)
    assert type(left[-1]) is End
