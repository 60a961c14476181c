"""One tap reports to the middleware's policy (SP401) and to assert_streams, and changes no response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import streamproof
import streamproof.testing
from streamproof import Finding, FlushPolicy, tap, wrap
from streamproof.adapters.taps import observer
from streamproof.testing import Held, assert_streams

from ..support.buffering import buffering_asgi, buffering_wsgi
from ..support.testing_apps import need

LAYERS = {"wsgi": buffering_wsgi, "asgi": buffering_asgi}


def wsgi(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield from (b"data: %d\n\n" % number for number in range(5))


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(5):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": number < 4})


APPS: dict[str, Any] = {"wsgi": wsgi, "asgi": asgi}


def test_there_is_one_tap() -> None:
    assert streamproof.testing.tap is streamproof.tap


@pytest.mark.parametrize("kind", APPS)
@pytest.mark.parametrize("held", [True, False], ids=["held", "streams"])
def test_the_policy_and_the_proof_see_the_same_tap(kind: str, held: bool) -> None:
    need("httpx")
    findings: list[Finding] = []
    inner = tap(APPS[kind], "the view")
    app = wrap(LAYERS[kind](inner) if held else inner, policy=FlushPolicy(on_hold=findings.append))
    with streamproof.testing.client(app) as reader, reader.stream("GET", "/") as response:
        if held:
            with pytest.raises(Held, match="Held between the view and app"):
                assert_streams(response)
        else:
            assert_streams(response)
    assert [finding.code for finding in findings] == ["SP401"] * held


def test_the_rows_of_nested_taps_are_innermost_first() -> None:
    need("httpx")
    app = tap(buffering_wsgi(tap(tap(wsgi, "view"), "framework")), "layer")
    with streamproof.testing.client(app) as reader, reader.stream("GET", "/") as response:
        response.read()
    assert response.extensions["streamproof"].line.event_log.places == ["view", "framework", "layer", "app"]


class Body(list[bytes]):
    """A body that is whole, and has a close()."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_nobody_looks_on_and_the_body_is_the_apps_own_object() -> None:
    body = Body([b"whole"])
    assert observer.get() is None
    assert tap(lambda environ, start_response: body)({}, None) is body


def test_a_whole_body_is_reported_to_a_test_and_closed_once() -> None:
    body, sizes = Body([b"ab", b"", b"c"]), []  # type: ignore[var-annotated]
    token = observer.set(lambda name: sizes.append)
    try:
        tapped = tap(lambda environ, start_response: body)({}, None)
    finally:
        observer.reset(token)
    assert list(tapped) == [b"ab", b"", b"c"]
    tapped.close()
    assert (sizes, body.closed) == ([2, 1], 1)
