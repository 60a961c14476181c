"""nginx and X-Accel-Buffering."""

from __future__ import annotations

import pytest

from streamproof import replay
from streamproof.sansio.trace import Outcome, Request

from ..support.profile_traces import EVENTS, XAB, arrivals, trace


def test_nginx_holds_what_gunicorn_streams_to_http10() -> None:
    assert arrivals(replay(trace(*EVENTS), "nginx")) == [(0.6, b"".join(data for _, data in EVENTS))]


def test_nginx_streams_complete_chunks() -> None:
    assert arrivals(replay(trace(*EVENTS), "nginx:proxy_http_version=1.1")) == EVENTS
    assert arrivals(replay(trace(*EVENTS), "nginx:version=1.29.7")) == EVENTS


@pytest.mark.parametrize("value", ["no", "NO"])
def test_x_accel_buffering_switches_nginx_to_streaming_and_ends_there(value: str) -> None:
    got = replay(trace(*EVENTS, headers=(XAB[0], ("X-Accel-Buffering", value))), "nginx")
    assert arrivals(got) == EVENTS
    assert got.response is not None
    assert got.response.at == 0.0
    assert [name for name, _ in got.response.headers] == [
        "Content-Type",
        "Server",
        "Date",
        "Transfer-Encoding",
        "Connection",
    ]


@pytest.mark.parametrize(
    "options",
    ["proxy_ignore_headers=X-Accel-Buffering", "proxy_ignore_headers=X-Accel-Buffering Set-Cookie"],
)
def test_an_ignored_x_accel_buffering_changes_nothing(options: str) -> None:
    assert arrivals(replay(trace(*EVENTS, headers=XAB), f"nginx:{options}")) == arrivals(
        replay(trace(*EVENTS), "nginx")
    )


def test_another_ignored_header_does_not_matter() -> None:
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx:proxy_ignore_headers=Set-Cookie")) == EVENTS


def test_the_first_of_two_nginx_eats_x_accel_buffering() -> None:
    whole = b"".join(data for _, data in EVENTS)
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx")) == [(0.6, whole)]
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx:proxy_buffering=off")) == EVENTS
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "apache+nginx")) == EVENTS
    assert arrivals(replay(trace(*EVENTS, headers=XAB), "nginx+nginx:proxy_http_version=1.1")) == EVENTS


def test_nginx_answers_head_with_the_head_that_get_would_get() -> None:
    """Its gzip filter sees the head before nginx knows that no body follows."""
    fields = (("Content-Type", "text/html"), ("ETag", '"a"'), ("Accept-Ranges", "bytes"), ("Content-Length", "1024"))
    asked = Request("HEAD", headers=(("Accept-Encoding", "gzip"),))
    for options in ("", ",proxy_buffering=off"):
        got = replay(trace(headers=fields, request=asked), f"nginx:gzip=on{options}")
        assert got.response is not None
        answered = {name.lower(): value for name, value in got.response.headers}
        assert (answered["content-encoding"], answered["etag"]) == ("gzip", 'W/"a"')
        assert not answered.keys() & {"content-length", "accept-ranges", "transfer-encoding"}
        assert (got.body, got.outcome) == (b"", Outcome.COMPLETE)
