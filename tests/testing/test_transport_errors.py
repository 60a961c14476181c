"""What a reader gets of an app that fails, and what the test gets."""

from __future__ import annotations

from typing import Any

import pytest

from streamproof.testing.clocks import SteppedClock
from streamproof.testing.transports import Transport

from ..support.transport_streams import CHUNKS, KINDS, URL


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_app_raises_comes_out_where_the_reader_reads(library: Any, kind: Any, clock: SteppedClock) -> None:
    got = []
    with (
        library.Client(transport=Transport(kind(fails_at=2))) as client,
        client.stream("GET", URL) as response,
        pytest.raises((LookupError, ExceptionGroup)),
    ):
        got.extend(response.iter_raw())
    assert response.trace.outcome == "app_error"
    assert "the well is dry" in response.trace.end.reason


@pytest.mark.parametrize("kind", KINDS)
def test_without_raising_a_broken_stream_is_cut_as_a_server_cuts_it(
    library: Any, kind: Any, clock: SteppedClock
) -> None:
    got = []
    transport = Transport(kind(fails_at=2), raise_app_exceptions=False)
    with (
        library.Client(transport=transport) as client,
        client.stream("GET", URL) as response,
        pytest.raises(library.RemoteProtocolError, match="The response was cut"),
    ):
        for chunk in response.iter_raw():
            got.append(chunk)
    assert got == CHUNKS[:2]


def test_without_raising_an_app_that_fails_before_its_head_answers_500(library: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise LookupError

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError

    for broken in (app, asgi):
        with library.Client(transport=Transport(broken, raise_app_exceptions=False, lifespan=False)) as client:
            assert client.get(URL).status_code == 500
        with library.Client(transport=Transport(broken, lifespan=False)) as client, pytest.raises(LookupError):
            client.get(URL)
