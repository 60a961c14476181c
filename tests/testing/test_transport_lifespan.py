"""The lifespan of an app runs while its client is open."""

from __future__ import annotations

from typing import Any

import pytest

from streamproof.testing.clocks import SteppedClock
from streamproof.testing.transports import Transport

from ..support.testing_apps import ASGIStream
from ..support.transport_streams import CHUNKS, URL


def test_the_lifespan_runs_while_the_client_is_open(library: Any, run: Any) -> None:
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["well"] = "deep"
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            events.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = scope["state"]["well"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client:
            assert (await client.get(URL)).text == "deep"
            assert not events
        assert events == ["shutdown"]

    run(main)
    events.clear()
    with library.Client(transport=Transport(app)) as client:
        assert client.get(URL).text == "deep"
    assert events == ["shutdown"]


def test_a_failed_startup_is_raised(library: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with (
        pytest.raises(Exception, match="The app's startup failed: no database"),
        library.Client(transport=Transport(app)),
    ):
        raise AssertionError("not reached")


def test_a_sync_client_needs_no_closing(library: Any, clock: SteppedClock) -> None:
    response = library.Client(transport=Transport(ASGIStream())).get(URL)
    assert response.content == b"".join(CHUNKS)
