"""The transports stream, under httpx and httpx2, sync and async, WSGI and ASGI, asyncio and trio."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from streamproof.testing.buffering import buffered
from streamproof.testing.clocks import SteppedClock, VirtualLoop, stepped
from streamproof.testing.lockstep import Held, assert_streams, assert_streams_async
from streamproof.testing.server_behavior import SERVER_BEHAVIORS
from streamproof.testing.transports import Transport

from ..support.testing_apps import ASGIStream, WSGIStream, need, pause

LIBRARIES = ["httpx", "httpx2"]
KINDS = [WSGIStream, ASGIStream]
CHUNKS = [b"chunk %d\n" % number for number in range(1, 6)]
URL = "http://testserver/"


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    need(request.param)
    return import_module(request.param)


@pytest.fixture
def clock() -> Iterator[SteppedClock]:
    with stepped() as clock:
        yield clock


def on_asyncio(main: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())  # type: ignore[arg-type]


def on_trio(main: Callable[[], Awaitable[None]]) -> None:
    need("trio")
    import trio.testing

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture(params=[on_asyncio, on_trio], ids=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_each_chunk_is_read_before_the_next_is_made(library: Any, kind: Any, clock: SteppedClock) -> None:
    app = kind()
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        for number, chunk in enumerate(response.iter_raw(), 1):
            assert chunk == CHUNKS[number - 1]
            assert app.events[-1] == f"made {number}"
    assert response.headers["content-type"] == "text/plain"
    assert clock.now - clock.start == 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_an_async_reader_holds_each_chunk_before_the_next_is_made(library: Any, kind: Any, run: Any) -> None:
    app = kind(seconds=0.0)

    async def main() -> None:
        async with (
            library.AsyncClient(transport=Transport(app)) as client,
            client.stream("GET", URL) as response,
        ):
            number = 0
            async for chunk in response.aiter_raw():
                number += 1
                assert chunk == CHUNKS[number - 1]
                assert app.events[-1] == f"made {number}"
            assert number == 5

    run(main)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_the_proof_passes_on_the_app_and_fails_on_its_joined_twin(
    library: Any, kind: Any, control: bool, clock: SteppedClock
) -> None:
    app = buffered(kind()) if control else kind()
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        if control:
            with pytest.raises(Held, match="inner app produced chunk 2 before the reader held chunk 1"):
                assert_streams(response)
        else:
            assert_streams(response)


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_the_proof_holds_for_endless_streams_of_async_clients(library: Any, run: Any, control: bool) -> None:
    app = buffered(ASGIStream(chunks=None)) if control else ASGIStream(chunks=None)

    async def main() -> None:
        async with library.AsyncClient(transport=Transport(app)) as client, client.stream("GET", URL) as response:
            if control:
                with pytest.raises(Held, match="inner app produced chunk 2"):
                    await assert_streams_async(response, chunks=3)
            else:
                await assert_streams_async(response, chunks=3)

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_may_leave_an_endless_stream_and_the_app_is_told(library: Any, kind: Any, clock: SteppedClock) -> None:
    app = kind(chunks=None)
    with library.Client(transport=Transport(app)) as client, client.stream("GET", URL) as response:
        arrivals = response.iter_raw()  # httpx2 closes the response with it
        assert next(arrivals) == CHUNKS[0]
        assert app.events == ["made 1"]
        response.close()
        assert app.events[-1] == "closed"
    assert response.trace.outcome == "client_gone"


@pytest.mark.parametrize("kind", KINDS)
def test_the_trace_of_a_reader_who_left_has_what_was_made_and_says_what_was_taken(
    library: Any, kind: Any, clock: SteppedClock
) -> None:
    with library.Client(transport=Transport(kind(chunks=None))) as client, client.stream("GET", URL) as response:
        arrivals = response.iter_raw()
        assert [next(arrivals), next(arrivals)] == CHUNKS[:2]
        response.close()
    trace = response.trace
    assert [(chunk.at, chunk.accepted_at) for chunk in trace.chunks] == [(0.0, 0.0), (1.0, None)]
    assert (trace.outcome, trace.end.at, trace.end.reason) == ("client_gone", 1.0, "the reader left")
    assert trace.delivery.stats.chunks == 2


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
        ("spec", "told by OSError"),
    ],
)
def test_each_server_tells_a_deaf_app_its_own_way_that_the_reader_left(
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


def test_a_window_lets_the_app_run_ahead_as_far_as_it_is_wide(clock: SteppedClock) -> None:
    need("httpx")
    import httpx

    def made(window: Any) -> int:
        app = ASGIStream(chunks=50, seconds=0.0)

        async def main() -> int:
            async with (
                httpx.AsyncClient(transport=Transport(app, window=window)) as client,
                client.stream("GET", URL) as response,
            ):
                await anext(response.aiter_raw())
                for _ in range(200):
                    await asyncio.sleep(0)
                return len(app.events)

        with asyncio.Runner() as runner:
            return runner.run(main())

    assert made(0) == 1
    assert made(24) == 4
    assert made(None) >= 50


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


def test_a_hop_between_app_and_reader_holds_what_it_holds_and_is_named(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with (
            library.Client(transport=Transport(kind(), via="gae-standard")) as client,
            client.stream("GET", URL) as response,
            pytest.raises(Held, match=r"chunk 2 before the reader held chunk 1\. gae-standard held it\."),
        ):
            assert_streams(response)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hops_time_limits_pass_in_virtual_time_and_the_app_is_told(
    library: Any, kind: Any, clock: SteppedClock
) -> None:
    app = kind(chunks=None, seconds=100.0)
    with library.Client(transport=Transport(app, via="heroku")) as client, client.stream("GET", URL) as response:
        with pytest.raises(library.RemoteProtocolError, match="The response was cut by heroku"):
            list(response.iter_raw())
        response.close()
        assert app.events[-1] == "closed"
    assert response.trace.outcome == "client_gone"
    assert response.trace.delivery.outcome == "cut"
    assert response.trace.delivery.end.at == pytest.approx(55.0)


def test_a_timed_hop_works_under_both_async_libraries(library: Any, run: Any) -> None:
    async def main() -> None:
        transport = Transport(ASGIStream(chunks=None, seconds=100.0), via="heroku")
        async with library.AsyncClient(transport=transport) as client, client.stream("GET", URL) as response:
            with pytest.raises(library.RemoteProtocolError, match="The response was cut by heroku"):
                async for _ in response.aiter_raw():
                    pass
        assert response.trace.delivery.end.at == pytest.approx(55.0)

    run(main)


def test_a_hop_that_holds_nothing_is_passed(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with (
            library.Client(transport=Transport(kind(), via="passthrough")) as client,
            client.stream("GET", URL) as response,
        ):
            assert_streams(response)


def test_head_requests_get_no_body(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with library.Client(transport=Transport(kind())) as client:
            assert client.head(URL).content == b""


def test_a_sync_client_works_inside_a_running_loop_too(library: Any) -> None:
    async def main() -> None:
        with library.Client(transport=Transport(ASGIStream(seconds=0.0))) as client:
            assert client.get(URL).content == b"".join(CHUNKS)

    asyncio.run(main())


def test_an_unknown_server_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="server='apache' is not a server for a WSGI app. Expected one of: gunicorn"):
        Transport(WSGIStream(), server="apache")
    with pytest.raises(ValueError, match="is not a known profile"):
        Transport(WSGIStream(), via="ngnix")


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
                self.events.append("told")
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
@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
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


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
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


def test_what_a_request_raises_is_raised_and_the_app_is_told(library: Any) -> None:
    app = ASGIEcho()
    with library.Client(transport=Transport(app)) as client:
        with (
            client.stream("POST", URL, content=app.chunks(fails_at=2)) as response,
            pytest.raises(LookupError, match="disk is full"),
        ):
            list(response.iter_raw())
        assert response.trace.outcome == "client_gone"
    assert app.events == ["made 1", "read 8", "told"]


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


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_a_file_that_the_server_is_to_send_arrives_as_body(library: Any, tmp_path: Path, control: bool) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "export").write_bytes(data)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "export")})

    transport = Transport(buffered(app) if control else app, server="granian")
    with library.Client(transport=transport) as client, client.stream("GET", URL) as response:
        if control:
            with pytest.raises(Held, match="1 chunk of 256000 B came"):
                assert_streams(response)
        else:
            assert_streams(response)
            assert response.trace.stats.bytes == len(data)
    with library.Client(transport=transport) as client:
        assert client.get(URL).content == data


def test_starlettes_files_go_where_they_may(tmp_path: Path) -> None:
    need("starlette", "httpx")
    import httpx
    from starlette.responses import FileResponse

    (tmp_path / "export").write_text("rows")
    for server in ("granian", "uvicorn"):
        with httpx.Client(
            transport=Transport(FileResponse(tmp_path / "export"), server=server, lifespan=False)
        ) as client:
            assert client.get(URL).text == "rows"


@pytest.mark.parametrize("kind", ["pathsend", "trailers"])
def test_what_the_server_does_not_offer_is_the_apps_fault(library: Any, kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": f"http.response.{kind}", "path": __file__})

    with (
        library.Client(transport=Transport(app, lifespan=False)) as client,
        pytest.raises(Exception, match=f"The app sent http.response.{kind}, which uvicorn does not offer"),
    ):
        client.get(URL)


class WithTrailers:
    def __init__(self, *order: str) -> None:
        self.order = order

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        offered = "http.response.trailers" in scope.get("extensions", {})
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": offered})
        for number, step in enumerate(self.order, 1):
            more = step in self.order[number:]
            if step == "body":
                await send({"type": "http.response.body", "body": b"chunk", "more_body": more})
            elif offered:
                fields = [(b"x-sum", b"%d" % number)]
                await send({"type": "http.response.trailers", "headers": fields, "more_trailers": more})


def test_trailers_come_when_they_were_asked_for(library: Any, run: Any) -> None:
    app = WithTrailers("body", "body", "trailers", "trailers")

    async def main() -> None:
        for options, expected in (
            ({}, []),
            ({"trailers": True}, [(b"x-sum", b"3"), (b"x-sum", b"4")]),
            ({"trailers": True, "via": "passthrough"}, []),
        ):
            for one in (app, buffered(app)):
                async with library.AsyncClient(transport=Transport(one, **options)) as client:
                    response = await client.get(URL)
                assert response.content == b"chunkchunk"
                assert response.extensions["trailers"] == expected
                assert response.trace.outcome == "complete"

    run(main)


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (("trailers", "body"), "sent trailers in the middle"),
        (("body",), "returned before its response was complete"),
        (("body", "trailers", "late"), "sent trailers in the middle"),
    ],
)
def test_trailers_have_their_place(library: Any, order: tuple[str, ...], fault: str) -> None:
    app = WithTrailers(*order)
    with (
        library.Client(transport=Transport(app, trailers=True)) as client,
        pytest.raises(Exception, match=fault),
        client.stream("GET", URL) as response,
    ):
        list(response.iter_raw())
