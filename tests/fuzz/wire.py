"""Hypothesis strategies for HTTP/1 as hostile peers write it: nearly valid messages, cut, damaged, in pieces."""

from __future__ import annotations

from hypothesis import strategies as st

from streamproof.sansio.trace import Request
from streamproof.sockets.exchange import ClientSide

NAMES = (
    b"Connection Upgrade TE Trailer Keep-Alive Proxy-Connection Accept-Encoding Content-Type Content-Encoding "
    b"X-Accel-Buffering ETag Via Vary X-A x-b Cache-Control Surrogate-Control"
).split()
VALUES = (
    b"|a|close|keep-alive|host|x-a|X-A, close|content-length|transfer-encoding|gzip|upgrade, host|gzip;q=0|text/csv|"
    b'text/event-stream|no|W/"x"|\xff\xfe|,,,|no-transform'
).split(b"|")
BAD_NAMES = b"Host|Content-Length|Transfer-Encoding|Expect||a b|\x00| a".split(b"|")
BAD_VALUES = b"chunked|gzip, chunked|identity|100-continue|0|3|03|5, 5|5, 6|-1|+3|1e3|\xc2\xb2|a\x00b|a\rb|\t".split(
    b"|"
)
BAD_VALUES += [b"9" * 19, b"9" * 21, b"9" * 5000, b"x" * 70_000]
BODIES = [b"", b"a", b"abc", b"data: x\n\n", b"\x1f\x8b\x08\x00not gzip", b"x" * 5000, b"x" * 40_000]

good_fields = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=6)
bad_fields = st.lists(
    st.tuples(
        st.sampled_from(NAMES + BAD_NAMES) | st.binary(max_size=6),
        st.sampled_from(VALUES + BAD_VALUES) | st.binary(max_size=12),
    ),
    max_size=6,
)


def chunk(data: bytes) -> bytes:
    """``data`` as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


chunked = st.lists(st.sampled_from(BODIES).filter(bool).map(chunk), max_size=3).map(
    lambda chunks: b"".join(chunks) + b"0\r\n\r\n"
)
broken_chunks = st.sampled_from(
    [b"zz\r\nabc\r\n", b"-1\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"3;x=" + b"y" * 300 + b"\r\nabc\r\n0\r\n\r\n",
     b"ffffffffffffffffffff\r\nabc", b"3\r\nabcXX0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"]
)  # fmt: skip


@st.composite
def framed_bodies(draw: st.DrawFn, wild: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields of framing, and a body that they describe."""
    if draw(st.booleans()):
        return [(b"Transfer-Encoding", b"chunked")], draw(chunked | broken_chunks if wild else chunked)
    body = draw(st.sampled_from(BODIES))
    return [] if wild and draw(st.booleans()) else [(b"Content-Length", b"%d" % len(body))], body


def message(line: bytes, head: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A start line, fields and a body on the wire."""
    return line + b"\r\n" + b"".join(b"%b: %b\r\n" % field for field in head) + b"\r\n" + body


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole``, often unchanged; else cut, or with some bytes replaced, removed or doubled."""
    damage = draw(st.sampled_from(["none", "none", "none", "cut", "replace", "remove", "double"]))
    at = draw(st.integers(0, len(whole)))
    if damage == "cut":
        return whole[:at]
    if damage == "replace":
        return whole[:at] + draw(st.binary(max_size=4)) + whole[at + 2 :]
    if damage == "remove":
        return whole[:at] + whole[at + draw(st.integers(1, 20)) :]
    if damage == "double":
        return whole[:at] + whole
    return whole


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """What a client sends: mostly one valid request."""
    wild = draw(st.integers(0, 3)) == 0
    methods, targets = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"get"], [b"/", b"/a?b=c", b"*", b"http://h/x"]
    versions = [b"HTTP/1.1", b"HTTP/1.0"]
    if wild:
        methods += [b"CONNECT", b"G T", b"\xff", b""]
        targets += [b"", b"/\x00", b"/\xe9", b"/" + b"a" * 70_000]
        versions += [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1 x", b""]
    version = draw(st.sampled_from(versions))
    line = b" ".join((draw(st.sampled_from(methods)), draw(st.sampled_from(targets)), version))
    framing, body = draw(framed_bodies(wild))
    host = [] if version != b"HTTP/1.1" and draw(st.booleans()) else [(b"Host", b"a")]
    whole = message(line, host + draw(bad_fields if wild else good_fields) + framing, body)
    return draw(damaged(whole)) if wild else whole


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """What an upstream sends: mostly one valid response."""
    wild = draw(st.integers(0, 2)) == 0
    statuses, versions = [b"200 OK", b"204", b"304 x", b"404 ", b"500 \xff", b"599"], [b"HTTP/1.1", b"HTTP/1.0"]
    leads = [b"", b"", b"HTTP/1.1 103 Early\r\nX-A: 1\r\n\r\n" * 2]
    if wild:
        statuses += [b"100 C", b"101 S", b"999", b"42", b"2000", b"\xc2\xb2", b""]
        versions += [b"HTTP/2", b"SSH-2.0-x", b"ICY", b""]
        leads += [b"\r\n"]
    line = draw(st.sampled_from(versions)) + b" " + draw(st.sampled_from(statuses))
    framing, body = draw(framed_bodies(wild))
    if draw(st.integers(0, 3)) == 0 and framing[:1] != [(b"Transfer-Encoding", b"chunked")]:
        framing = []  # the close delimits the body
    whole = message(line, draw(bad_fields if wild else good_fields) + framing, body)
    return draw(st.sampled_from(leads)) + (draw(damaged(whole)) if wild else whole)


@st.composite
def pieces(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """``whole`` in the reads in which it arrives."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [piece for piece in (whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)) if piece]


def accepted(reads: list[bytes]) -> tuple[Request, bytes] | None:
    """The request in ``reads`` and its body, None when it never becomes complete. Raises BadRequest."""
    client, body = ClientSide(), b""
    for read in reads:
        body += b"".join(client.receive(read))
        if client.complete:
            assert client.request is not None
            return client.request, body
        if client.gone:
            return None
    body += b"".join(client.receive(b""))
    return None
