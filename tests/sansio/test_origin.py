"""What an app's server writes, and that replay, a via in the process and the test transports all get it from there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from streamproof.adapters.via import Leg
from streamproof.profiles import Via, app_server
from streamproof.profiles.servers import servers
from streamproof.sansio.hop import HopPlan, Rule
from streamproof.sansio.http import Headers
from streamproof.sansio.machine import Data, End, Event, Events, Head, Stage
from streamproof.sansio.origin import AppServer
from streamproof.sansio.replay import replay
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace
from streamproof.testing._line import Line
from streamproof.testing.server_behavior import ServerBehavior

TEXT = (("Content-Type", "text/plain"),)
LENGTH = (*TEXT, ("Content-Length", "4"))


@dataclass(frozen=True)
class Tap:
    """A stage that keeps what reaches it."""

    seen: list[Event] = field(default_factory=list)

    def start(self, request: Request, now: float) -> Stage:
        tap = self

        class Tapping(Stage):
            def receive(self, event: Event, now: float) -> Events:
                tap.seen.append(event)
                return (event,)

        return Tapping()


@pytest.mark.parametrize(
    ("version", "method", "status", "headers", "framing", "end"),
    [
        ("1.1", "GET", 200, TEXT, "chunked", End(5)),
        ("1.0", "GET", 200, TEXT, "close", End()),
        ("1.1", "GET", 200, LENGTH, "length", End()),
        ("1.1", "HEAD", 200, TEXT, "length", End()),
        ("1.1", "GET", 204, (), "length", End()),
    ],
)
def test_a_server_that_is_not_listed_follows_the_rfc(
    version: str, method: str, status: int, headers: Headers, framing: str, end: End
) -> None:
    origin = AppServer().answer(Response(status, headers), Request(method, http_version=version))
    assert (origin.head.framing, origin.end()) == (framing, end)
    assert origin.has_body is (method == "GET" and status == 200)


def test_the_head_counts_the_fields_that_the_server_adds() -> None:
    server = AppServer(adds=(("Server", "ours"), ("Content-Type", "text/html")))
    head = server.answer(Response(200, TEXT), Request()).head
    assert head.headers == TEXT
    assert head.size == len(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: ours\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def test_what_was_measured_stays() -> None:
    response = Response(200, TEXT, framing="close", head_size=77)
    head = AppServer(adds=(("Server", "ours"),)).answer(response, Request()).head
    assert (head.framing, head.size) == ("close", 77)
    unsized = AppServer(adds=(("Server", "ours"),)).answer(Response(200, TEXT, framing="close"), Request()).head
    assert unsized.size == len("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")


@pytest.mark.parametrize("server", [*servers(), None])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [("GET", 200, TEXT), ("GET", 200, LENGTH), ("HEAD", 200, TEXT), ("GET", 304, ())],
    ids=["streamed", "known-length", "head", "not-modified"],
)
def test_replay_a_leg_and_a_line_write_the_same(
    server: str | None, version: str, method: str, status: int, headers: Headers
) -> None:
    request = Request(method, http_version=version)
    origin = app_server(server).answer(Response(status, headers), request)
    expected: list[Event] = [origin.head, *([origin.data(b"data")] if origin.has_body else []), origin.end()]

    def plan(tap: Tap) -> HopPlan:
        return HopPlan("tap", "1.0" if version == "1.0" else "1.1", (Rule(tap),))

    replayed, lined, leg = Tap(), Tap(), Leg(request, plan(Tap()).start(request, 0.0), server)
    end = StreamEnd(2.0, Outcome.COMPLETE)
    chunks = (Chunk(1.0, 4, None, b"data"),)
    replay(Trace(request, Response(status, headers), chunks, end), [plan(replayed)], app_server(server))
    assert replayed.seen == expected

    written: list[Event] = [leg.head(status, headers)]
    written += [leg.data(b"data")] if leg.bodied else []
    assert [*written, leg.end()] == expected

    line = Line(request, ServerBehavior("any", "wsgi", server=server), Via("tap", (plan(lined),), ()), 0.0)
    line.head(status, headers, 0.0)
    line.data(b"data", 1.0)
    line.end(2.0)
    assert lined.seen == expected
    assert isinstance(expected[0], Head)
    assert all(isinstance(event, Data) for event in expected[1:-1])
