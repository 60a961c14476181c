"""Werkzeug's, Flask's, Django's and Starlette's own test clients, made to stream."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamproof.testing.clients import streaming
from streamproof.testing.clocks import SteppedClock, stepped
from streamproof.testing.joining import joined
from streamproof.testing.lockstep import Held, assert_stops, assert_streams
from streamproof.testing.recorded import trace_of

from .testing_apps import ASGIStream, WSGIStream, need


@pytest.fixture(autouse=True)
def clock() -> Iterator[SteppedClock]:
    with stepped() as clock:
        yield clock


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_werkzeugs_client(control: bool) -> None:
    from werkzeug.test import Client

    app = WSGIStream()
    response = streaming(Client(joined(app) if control else app)).get("/")
    if control:
        with pytest.raises(Held):
            assert_streams(response)
    else:
        assert app.events == ["made 1"]
        assert_streams(response)
        assert response.trace.outcome == "complete"  # type: ignore[attr-defined]
    assert app.events[-1] == "closed"


def test_werkzeugs_client_keeps_its_cookies_and_its_buffering() -> None:
    from werkzeug.test import Client

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Set-Cookie", "a=1")])
        return [environ.get("HTTP_COOKIE", "none").encode()]

    client = streaming(Client(app))
    assert client.get("/").data == b"none"
    response = client.get("/?q=1", buffered=True)
    assert response.data == b"a=1"
    assert trace_of(response).request.target == "/?q=1"


def test_flasks_client() -> None:
    need("flask")
    from flask import Flask, Response

    app = Flask(__name__)
    made = []

    @app.get("/")
    def index() -> Response:
        def body() -> Iterator[str]:
            try:
                for number in range(1000):
                    made.append(number)
                    yield f"{number}\n"
                    time.sleep(1)
            finally:
                made.append(-1)

        return Response(body())

    response = streaming(app.test_client()).get("/")
    assert next(iter(response.response)) == b"0\n"
    assert made == [0]
    assert_stops(response)
    assert made[-1] == -1
    assert response.trace.outcome == "client_gone"  # type: ignore[attr-defined]


@pytest.fixture
def django_urls() -> Iterator[None]:
    need("django")
    import django
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.test import override_settings
    from django.urls import path

    if not settings.configured:
        settings.configure(SECRET_KEY="test", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
        django.setup()

    def stream(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(APP.body(), content_type="text/plain")

    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse("plain", headers={"X-Plain": "yes"})

    global urlpatterns
    urlpatterns = [path("stream", stream), path("plain", plain)]
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        yield


urlpatterns: list[Any] = []
APP = WSGIStream()


def test_djangos_client(django_urls: None) -> None:
    from django.test import Client

    global APP
    APP = WSGIStream()
    response: Any = streaming(Client()).get("/stream")
    assert_streams(response)
    assert APP.events[-1] == "closed"
    assert response.closed
    APP = WSGIStream(chunks=None)
    response = streaming(Client()).get("/stream")
    assert next(iter(response.streaming_content)) == b"chunk 1\n"
    assert APP.events == ["made 1"]
    assert_stops(response)
    assert APP.events[-1] == "closed"


def test_djangos_plain_responses_stay_as_they_are(django_urls: None) -> None:
    from django.test import Client

    response: Any = streaming(Client()).get("/plain")
    assert (response.status_code, response.content, response["X-Plain"]) == (200, b"plain", "yes")
    assert response.resolver_match.route == "plain"
    assert trace_of(response).outcome == "complete"


def test_djangos_client_behind_a_hop_that_holds(django_urls: None) -> None:
    from django.test import Client

    global APP
    APP = WSGIStream()
    with pytest.raises(Held, match="gae-standard held it"):
        assert_streams(streaming(Client(), via="gae-standard").get("/stream"))


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_starlettes_client(control: bool) -> None:
    need("starlette", "httpx2")
    from starlette.testclient import TestClient

    app = ASGIStream()
    client = streaming(TestClient(joined(app) if control else app))
    with client.stream("GET", "/") as response:
        if control:
            with pytest.raises(Held):
                assert_streams(response)
        else:
            assert_streams(response)


def test_starlettes_client_keeps_websockets_templates_and_its_view_of_cuts() -> None:
    need("starlette", "httpx2")
    from starlette.testclient import TestClient

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "hello"})
            return
        assert "http.response.debug" in scope["extensions"]
        await send({"type": "http.response.debug", "info": {"template": "t", "context": {"a": 1}}})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError

    client = streaming(TestClient(app, raise_server_exceptions=False))
    with client.websocket_connect("/") as session:
        assert session.receive_text() == "hello"
    response: Any = client.get("/")
    assert (response.content, response.template, response.context) == (b"half", "t", {"a": 1})


def test_other_clients_are_refused() -> None:
    with pytest.raises(TypeError, match="is no client that is known"):
        streaming(object())
