"""Each app server behaves to the app as it does on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from streamproof.testing.clocks import SteppedClock
from streamproof.testing.server_behavior import SERVER_BEHAVIORS
from streamproof.testing.transports import Transport

from ..support.testing_apps import ASGIStream, WSGIStream, need
from ..support.transport_streams import CHUNKS, URL


def test_daphne_leaves_a_broken_stream_open_so_its_reader_times_out(library: Any, clock: SteppedClock) -> None:
    transport = Transport(ASGIStream(fails_at=2), server="daphne", raise_app_exceptions=False)
    with (
        library.Client(transport=transport) as client,
        client.stream("GET", URL) as response,
        pytest.raises(library.ReadTimeout, match="daphne leaves the connection open"),
    ):
        list(response.iter_raw())


def test_a_class_that_is_awaited_is_an_app(library: Any) -> None:
    class Endpoint:
        def __init__(self, scope: Any, receive: Any, send: Any) -> None:
            self.send = send

        def __await__(self) -> Any:
            return self.answer().__await__()

        async def answer(self) -> None:
            await self.send({"type": "http.response.start", "status": 204, "headers": []})
            await self.send({"type": "http.response.body"})

    with library.Client(transport=Transport(Endpoint, lifespan=False)) as client:
        assert client.get(URL).status_code == 204


@pytest.mark.parametrize("server", [name for name, server in SERVER_BEHAVIORS.items() if server.kind == "asgi"])
def test_each_server_names_itself_to_the_app_as_it_does(server: str, clock: SteppedClock) -> None:
    need("httpx")
    import httpx

    app = ASGIStream(listens=False)
    with httpx.Client(transport=Transport(app, server=server)) as client:
        assert client.get(URL).content == b"".join(CHUNKS)
    assert app.scope["asgi"].get("spec_version") == SERVER_BEHAVIORS[server].spec_version
    assert ("extensions" in app.scope) == (SERVER_BEHAVIORS[server].extensions is not None)


@pytest.mark.parametrize(
    ("server", "ends"),
    [
        ("uvicorn", "runs on"),
        ("hypercorn", "runs on"),
        ("granian", "runs on"),
        ("gunicorn-asgi", "cancelled"),
        ("daphne", "cancelled"),
        ("spec", "ended by OSError"),
    ],
)
def test_each_server_has_its_own_way_to_end_a_deaf_app_whose_reader_left(
    server: str, ends: str, clock: SteppedClock
) -> None:
    need("httpx")
    import httpx

    app = ASGIStream(chunks=None, seconds=0.0, listens=False)
    with httpx.Client(transport=Transport(app, server=server)) as client, client.stream("GET", URL) as response:
        next(response.iter_raw())
        response.close()
        exchange = response.extensions["streamproof"]
        assert exchange.app_done == (ends != "runs on")
        assert exchange.ran_on == (ends == "cancelled")
    assert app.events[-1] == "closed"


def test_an_unknown_server_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="server='apache' is not a server for a WSGI app. Expected one of: gunicorn"):
        Transport(WSGIStream(), server="apache")
    with pytest.raises(ValueError, match="is not a known profile"):
        Transport(WSGIStream(), via="ngnix")
