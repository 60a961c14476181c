"""Requests: bodies, query and fields reach the app, chunk by chunk."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from streamproof.testing.buffering import buffered
from streamproof.testing.clocks import SteppedClock
from streamproof.testing.lockstep import Held, assert_streams, assert_streams_async
from streamproof.testing.transports import Transport

from ..support.testing_apps import pause
from ..support.transport_streams import CHUNKS, KINDS, URL, on_asyncio


def test_requests_carry_body_query_and_fields(library: Any) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-query", scope["query_string"])]})
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"x-a"] + body})

    def wsgi_echo(environ: Any, start_response: Any) -> Any:
        start_response("201 Created", [("X-Query", environ["QUERY_STRING"])])
        return [environ["HTTP_X_A"].encode() + environ["wsgi.input"].read()]

    for app in (echo, wsgi_echo):
        with library.Client(transport=Transport(app, lifespan=False)) as client:
            response = client.post(URL + "?a=1&b=%20", content=b"body", headers={"X-A": "a"})
        assert (response.status_code, response.content, response.headers["x-query"]) == (201, b"abody", "a=1&b=%20")


def test_head_requests_get_no_body(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with library.Client(transport=Transport(kind())) as client:
            assert client.head(URL).content == b""


class Echo:
    """Answers each chunk of its request with the same; `events` says in which order things were made and read."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def chunks(self, fails_at: int | None = None) -> Iterator[bytes]:
        for number in range(1, 4):
            if number == fails_at:
                raise LookupError("the reader's disk is full")
            self.events.append(f"made {number}")
            yield b"chunk %d\n" % number
        self.events.append("made all")

    async def achunks(self) -> Any:
        for chunk in self.chunks():
            await pause(1)
            yield chunk


class ASGIEcho(Echo):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.events.append("disconnected")
                return
            self.events.append(f"read {len(message['body'])}")
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})


class WSGIEcho(Echo):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        assert environ["wsgi.input_terminated"]
        for line in environ["wsgi.input"]:
            self.events.append(f"read {len(line)}")
            yield line
        self.events.append("read 0")


ECHOED = ["made 1", "read 8", "made 2", "read 8", "made 3", "read 8", "made all", "read 0"]


@pytest.mark.parametrize("kind", [ASGIEcho, WSGIEcho])
@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_a_request_reaches_the_app_chunk_by_chunk(library: Any, kind: Any, control: bool) -> None:
    app = kind()
    transport = Transport(buffered(app) if control else app)
    with (
        library.Client(transport=transport) as client,
        client.stream("POST", URL, content=app.chunks()) as response,
    ):
        if control:
            with pytest.raises(Held, match="inner app produced chunk 2 before the reader held chunk 1"):
                assert_streams(response)
        else:
            assert_streams(response)
            assert app.events == ECHOED


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "buffered"])
def test_an_async_request_reaches_the_app_chunk_by_chunk(library: Any, run: Any, control: bool) -> None:
    app = ASGIEcho()

    async def main() -> None:
        transport = Transport(buffered(app) if control else app)
        async with (
            library.AsyncClient(transport=transport) as client,
            client.stream("POST", URL, content=app.achunks()) as response,
        ):
            if control:
                with pytest.raises(Held, match="inner app produced chunk 2"):
                    await assert_streams_async(response)
            else:
                await assert_streams_async(response)
                assert app.events == ECHOED

    run(main)


def test_a_wsgi_app_under_an_async_client_gets_its_request_whole(library: Any) -> None:
    app = WSGIEcho()

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client:
            response = await client.post(URL, content=app.achunks(), headers={"Transfer-Encoding": "chunked"})
            assert response.content == b"".join(CHUNKS[:3])
        assert app.events[:4] == ["made 1", "made 2", "made 3", "made all"]

    on_asyncio(main)


def test_what_a_request_raises_is_raised_and_the_app_sees_a_disconnect(library: Any) -> None:
    app = ASGIEcho()
    with library.Client(transport=Transport(app)) as client:
        with (
            client.stream("POST", URL, content=app.chunks(fails_at=2)) as response,
            pytest.raises(LookupError, match="disk is full"),
        ):
            list(response.iter_raw())
        assert response.trace.outcome == "client_gone"
    assert app.events == ["made 1", "read 8", "disconnected"]


def test_an_app_that_stops_waiting_for_its_request_gets_the_rest_of_it(library: Any, run: Any) -> None:
    import anyio

    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        while not got or got[-1]["more_body"]:
            with anyio.move_on_after(0.4):
                got.append(await receive())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client:
            await client.post(URL, content=Echo().achunks())
        assert b"".join(message["body"] for message in got) == b"".join(CHUNKS[:3])

    run(main)


def test_a_request_that_the_app_does_not_read_is_left_half_way(library: Any, run: Any) -> None:
    events = []

    async def endless() -> Any:
        try:
            while True:
                yield b"chunk"
        finally:
            events.append("closed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        events.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client:
            assert (await client.post(URL, content=endless())).status_code == 413

    run(main)
    gc.collect()  # nothing is left that trio would warn of
    assert events == [b"chunk", "closed"]
