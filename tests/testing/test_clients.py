"""Werkzeug's, Flask's, Django's and Starlette's own test clients, made to stream."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from streamproof.testing.buffering import buffered
from streamproof.testing.clients import streaming
from streamproof.testing.clocks import SteppedClock, VirtualLoop, stepped
from streamproof.testing.lockstep import Held, assert_stops, assert_stops_async, assert_streams, assert_streams_async
from streamproof.testing.recorded import trace_of

from ..support.testing_apps import ASGIStream, WSGIStream, need


@pytest.fixture(autouse=True)
def clock() -> Iterator[SteppedClock]:
    with stepped() as clock:
        yield clock


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_werkzeugs_client(control: bool) -> None:
    from werkzeug.test import Client

    app = WSGIStream()
    response = streaming(Client(buffered(app) if control else app)).get("/")
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

    async def astream(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(ASYNC_BODY(), content_type="text/plain")

    async def collected(request: HttpRequest) -> StreamingHttpResponse:
        async def whole() -> Any:
            yield b"".join([chunk async for chunk in ASYNC_BODY()])

        return StreamingHttpResponse(whole(), content_type="text/plain")

    async def slow(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(100)
        return HttpResponse("late")

    async def failing(request: HttpRequest) -> HttpResponse:
        raise LookupError("the well is dry")

    global urlpatterns
    urlpatterns = [
        path("stream", stream),
        path("plain", plain),
        path("astream", astream),
        path("collected", collected),
        path("slow", slow),
        path("failing", failing),
    ]
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        yield


urlpatterns: list[Any] = []
APP = WSGIStream()


class AsyncBody:
    """Chunks of an async view; endless when `chunks` is None."""

    def __init__(self, chunks: int | None = 3) -> None:
        self.chunks = chunks
        self.events: list[str] = []

    async def __call__(self) -> Any:
        number = 0
        try:
            while self.chunks is None or number < self.chunks:
                number += 1
                self.events.append(f"made {number}")
                yield b"chunk %d\n" % number
                await asyncio.sleep(1)
        finally:
            self.events.append("closed")


ASYNC_BODY = AsyncBody()


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


def on_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "collected"])
def test_djangos_async_client(django_urls: None, control: bool) -> None:
    from django.test import AsyncClient

    global ASYNC_BODY
    ASYNC_BODY = AsyncBody()

    async def main() -> None:
        response: Any = await streaming(AsyncClient()).get("/collected" if control else "/astream")
        if control:
            with pytest.raises(Held):
                await assert_streams_async(response)
        else:
            assert ASYNC_BODY.events in ([], ["made 1"])
            await assert_streams_async(response)
            assert trace_of(response).outcome == "complete"
            assert trace_of(response).end.at == pytest.approx(3.0)
        assert ASYNC_BODY.events[-1] == "closed"
        assert response.closed

    on_asyncio(main)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-asgi", "daphne"])
def test_djangos_async_client_may_leave(django_urls: None, server: str) -> None:
    from django.test import AsyncClient

    global ASYNC_BODY

    async def main() -> None:
        response: Any = await streaming(AsyncClient(), server=server).get("/astream")
        async for chunk in response.streaming_content:
            assert chunk == b"chunk 1\n"
            break
        assert ASYNC_BODY.events == ["made 1"]
        await assert_stops_async(response)
        assert ASYNC_BODY.events[-1] == "closed"
        assert trace_of(response).outcome == "client_gone"

    async def by_djangos_own_close() -> None:
        response: Any = await streaming(AsyncClient(), server=server).get("/astream")
        assert await anext(aiter(response)) == b"chunk 1\n"
        response.close()
        response.close()
        await asyncio.sleep(5)
        assert ASYNC_BODY.events[-1] == "closed"

    for reader in (main, by_djangos_own_close):
        ASYNC_BODY = AsyncBody(chunks=None)
        on_asyncio(reader)


def test_djangos_async_client_keeps_its_ways(django_urls: None) -> None:
    from django.test import AsyncClient

    async def main() -> None:
        response: Any = await streaming(AsyncClient()).get("/plain?a=1")
        assert (response.status_code, response.content, response["X-Plain"]) == (200, b"plain", "yes")
        assert response.resolver_match.route == "plain"
        assert trace_of(response).request.target == "/plain?a=1"
        assert trace_of(response).outcome == "complete"
        with pytest.raises(LookupError, match="the well is dry"):
            await streaming(AsyncClient()).get("/failing")
        response = await streaming(AsyncClient(raise_request_exception=False)).get("/failing")
        assert response.status_code == 500

    on_asyncio(main)


def test_a_sync_view_under_djangos_async_client_is_collected_as_django_does_it(django_urls: None) -> None:
    from django.test import AsyncClient

    global APP
    APP = WSGIStream(seconds=0)

    async def main() -> None:
        with pytest.warns(Warning, match="must consume synchronous iterators"):
            response = await streaming(AsyncClient()).get("/stream")
            with pytest.raises(Held, match="sync iterator produced chunk 2 before the reader held chunk 1"):
                await assert_streams_async(response)

    with asyncio.Runner() as runner:  # Django reads it in a thread, which has no virtual time
        runner.run(main())


def test_djangos_async_client_behind_hops(django_urls: None) -> None:
    from django.test import AsyncClient

    global ASYNC_BODY
    ASYNC_BODY = AsyncBody()

    async def main() -> None:
        with pytest.raises(Held, match="gae-standard held it"):
            await assert_streams_async(await streaming(AsyncClient(), via="gae-standard").get("/astream"))
        response = await streaming(AsyncClient(), via="heroku").get("/slow")
        assert response.status_code == 503

    on_asyncio(main)


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


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_starlettes_client(control: bool) -> None:
    need("starlette", "httpx2")
    from starlette.testclient import TestClient

    app = ASGIStream()
    client = streaming(TestClient(buffered(app) if control else app))
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
    with pytest.raises(TypeError, match="is not a supported test client"):
        streaming(object())
