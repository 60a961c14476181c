"""A policy round ASGI apps in this process: which responses it touches, what leaves when, and who is told of what."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from streamproof import Trace
from streamproof.adapters.holds import HeldInside
from streamproof.adapters.taps import tap
from streamproof.asgi import StreamMiddleware
from streamproof.sansio.flush import FlushPolicy
from tests.support.buffering import buffering_asgi

EVENTS = [(b"content-type", b"text/event-stream")]
TEXT = [(b"content-type", b"text/html")]
LIMIT = 10.0  # seconds, after which something that must happen has not


class Server:
    """The least that a server does: takes messages, and says when the reader has left."""

    def __init__(self, *, method: str = "GET", headers: Any = (), body: tuple[bytes, ...] = (b"",)) -> None:
        self.scope = {
            "type": "http",
            "method": method,
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": list(headers),
        }
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self.taken = asyncio.Event()
        self._requests = [
            {"type": "http.request", "body": piece, "more_body": index < len(body) - 1}
            for index, piece in enumerate(body)
        ]
        self.on_send: Callable[[Any], Any] = lambda message: None

    async def receive(self) -> Any:
        if self._requests:
            return self._requests.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.taken.set()
        result = self.on_send(message)
        if result is not None:
            await result

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def fields(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


def serve(app: Any, policy: FlushPolicy | None, **options: Any) -> Server:
    """One request to the end; nothing is left running in the loop."""

    async def main() -> Server:
        server = Server(**options)
        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(app, policy=policy)(server.scope, server.receive, server.send)
        assert len(asyncio.all_tasks()) == 1
        return server

    return asyncio.run(main())


def answer(headers: Any, *bodies: bytes, status: int = 200, more: bool = True) -> Any:
    """An app that answers this; with ``more`` the last message is an empty one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for index, body in enumerate(bodies):
            last = index == len(bodies) - 1 and not more
            await send({"type": "http.response.body", "body": body, "more_body": not last})
        if more:
            await send({"type": "http.response.body", "body": b""})

    return app


POLICY = FlushPolicy()


def test_a_stream_says_what_it_is_and_keeps_its_chunks() -> None:
    server = serve(answer(EVENTS, b"data: a\n\n", b"data: b\n\n", more=False), POLICY)
    assert server.sent[0]["headers"] == [
        *EVENTS,
        (b"cache-control", b"no-cache, no-transform"),
        (b"x-accel-buffering", b"no"),
        (b"incremental", b"?1"),
    ]
    assert [(one["body"], one["more_body"]) for one in server.sent[1:]] == [
        (b"data: a\n\n", True),
        (b"data: b\n\n", False),
    ]


@pytest.mark.parametrize("kind", [EVENTS, TEXT], ids=["stream", "open"])
def test_fields_that_can_be_read_only_once_reach_the_server(kind: Any) -> None:
    sent = serve(answer(iter([*kind, (b"x-a", b"b")]), b"x", more=False), POLICY).sent
    assert list(sent[0]["headers"])[:2] == [*kind, (b"x-a", b"b")]


OTHERS = {
    "one message": answer(TEXT, b"x", more=False),
    "a length": answer([*TEXT, (b"content-length", b"1")], b"x"),
    "no content": answer([], status=204),
    "a part": answer([*TEXT, (b"content-range", b"bytes 0-0/9")], b"x", status=206),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_stream_passes_as_the_messages_it_is(name: str) -> None:
    made: list[Any] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            made.append(message)
            await send(message)

        await OTHERS[name](scope, receive, noted)

    sent = serve(noting, FlushPolicy(heartbeat=1.0, compress=("gzip",))).sent
    assert all(one is other for one, other in zip(sent, made, strict=True))


@pytest.mark.parametrize("headers", [EVENTS, TEXT], ids=["stream", "open"])
def test_a_second_start_reaches_the_server_that_refuses_it(headers: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x"})

    sent = [one["type"] for one in serve(app, POLICY).sent]
    assert sent == ["http.response.start"] * 2 + ["http.response.body"]


def test_files_trailers_and_other_scopes_pass() -> None:
    async def pathsend(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.pathsend", "path": "/dev/null"})

    async def trailers(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS, "trailers": True})
        await send({"type": "http.response.body", "body": b"x", "more_body": False})
        await send({"type": "http.response.trailers", "headers": []})

    assert [one["type"] for one in serve(pathsend, POLICY).sent][1:] == ["http.response.pathsend"]
    assert serve(trailers, POLICY).sent[0]["headers"] is EVENTS

    async def echo(scope: Any, receive: Any, send: Any) -> str:
        return str(scope["type"])

    async def websocket() -> Any:
        return await StreamMiddleware(echo, policy=POLICY)({"type": "websocket"}, None, None)  # type: ignore[arg-type]

    assert asyncio.run(websocket()) == "websocket"


def test_compression_flushes_each_message() -> None:
    inflate = zlib.decompressobj(31)
    seen = []
    app = answer(EVENTS, b"data: a\n\n", b"data: b\n\n")
    server = serve(app, FlushPolicy(compress=("gzip",)), headers=[(b"accept-encoding", b"gzip")])
    seen = [inflate.decompress(one["body"]) for one in server.sent[1:]]
    assert [one for one in seen if one] == [b"data: a\n\n", b"data: b\n\n"]
    assert server.fields[b"content-encoding"] == b"gzip"
    assert server.sent[-1]["more_body"] is False


def test_the_pace_joins_and_the_timer_lets_go_while_the_app_is_silent() -> None:
    """The app waits until both its chunks have left: without the timer it would wait for ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        for body in (b"a", b"b", b"c"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        while server[0].body != b"abc":
            server[0].taken.clear()
            await server[0].taken.wait()
        await send({"type": "http.response.body", "body": b"d"})

    server: list[Server] = []

    async def main() -> None:
        server.append(Server())
        policy = FlushPolicy(max_delay=0.02)
        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(app, policy=policy)(server[0].scope, server[0].receive, server[0].send)

    asyncio.run(main())
    bodies = [one["body"] for one in server[0].sent[1:]]
    assert bodies[:2] == [b"a", b"bc"]


def test_heartbeats_while_the_app_says_nothing() -> None:
    server: list[Server] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
        while server[0].body.count(b":\n\n") < 3:
            server[0].taken.clear()
            await server[0].taken.wait()
        await send({"type": "http.response.body", "body": b"data: b\n\n"})

    async def main() -> None:
        server.append(Server())
        policy = FlushPolicy(heartbeat=0.01)
        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(app, policy=policy)(server[0].scope, server[0].receive, server[0].send)

    asyncio.run(main())
    assert server[0].body.replace(b":\n\n", b"") == b"data: a\n\ndata: b\n\n"


async def _blocking(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("yields", [True, False])
def test_a_producer_that_never_gives_way_is_made_to(yields: bool) -> None:
    """Between its chunks another task runs; where it is not made to, the other runs when all is over."""

    async def main() -> list[int]:
        server = Server()
        ran: list[int] = []

        async def other() -> None:
            while len(ran) < 3:
                ran.append(len(server.sent))
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        policy = FlushPolicy(yield_to_loop=yields, on_disconnect="ignore")
        await StreamMiddleware(_blocking, policy=policy)(server.scope, server.receive, server.send)
        await task
        return ran

    ran = asyncio.run(main())
    assert (ran[0] < 5) is yields


@pytest.mark.parametrize("blocks", [True, False])
def test_an_app_that_keeps_the_loop_from_turning_is_named(blocks: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
        time.sleep(0.12) if blocks else await asyncio.sleep(0.12)
        await send({"type": "http.response.body", "body": b"data: b\n\n"})

    named: list[Any] = []
    assert serve(app, FlushPolicy(on_hold=named.append)).body == b"data: a\n\ndata: b\n\n"
    assert [finding.code for finding in named] == ["SP402"] * blocks


async def _deaf(scope: Any, receive: Any, send: Any) -> None:
    """Never receives, and would send for ever."""
    try:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        while True:
            await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
            await asyncio.sleep(0)
    except BaseException as error:
        scope["seen"].append(type(error))
        raise


@pytest.mark.parametrize(("what", "seen"), [("raise", OSError), ("cancel", asyncio.CancelledError)])
@pytest.mark.parametrize("body", [(b"",), (b"one", b"two", b"three")], ids=["read", "unread"])
def test_an_app_that_never_listens_is_told_that_its_reader_left(what: Any, seen: Any, body: Any) -> None:
    async def main() -> Server:
        server = Server(body=body[:1] if what == "cancel" else (b"",))
        server.scope["seen"] = []
        server.on_send = lambda message: server.gone.set() if len(server.sent) > 2 else None
        async with asyncio.timeout(LIMIT):
            assert (
                await StreamMiddleware(_deaf, policy=FlushPolicy(on_disconnect=what))(
                    server.scope, server.receive, server.send
                )
                is None
            )
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return server

    told = asyncio.run(main()).scope["seen"]
    assert len(told) == 1
    assert issubclass(told[0], seen)


def test_an_app_that_is_ignored_sends_on() -> None:
    async def main() -> Server:
        server = Server()
        server.scope["seen"] = []
        server.gone.set()
        enough = asyncio.Event()
        server.on_send = lambda message: enough.set() if len(server.sent) > 50 else None
        policy = FlushPolicy(on_disconnect="ignore")
        task = asyncio.create_task(StreamMiddleware(_deaf, policy=policy)(server.scope, server.receive, server.send))
        async with asyncio.timeout(LIMIT):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return server

    assert len(asyncio.run(main()).sent) > 50


def test_an_app_that_listens_hears_it_itself_and_gets_every_message_once() -> None:
    async def main() -> list[Any]:
        heard: list[Any] = []
        server = Server(body=(b"one", b"two"))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
            server.gone.set()
            for _ in range(4):
                heard.append(await receive())
            await send({"type": "http.response.body", "body": b""})

        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(app, policy=FlushPolicy(on_disconnect="cancel"))(
                server.scope, server.receive, server.send
            )
        return heard

    heard = asyncio.run(main())
    assert [one.get("body") for one in heard] == [b"one", b"two", None, None]


def test_a_generator_inside_is_closed_when_the_reader_left() -> None:
    async def main() -> list[str]:
        closed: list[str] = []
        server = Server()

        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"data: a\n\n"
                    await asyncio.sleep(0)
            finally:
                closed.append("aclose")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            async for chunk in chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

        server.on_send = lambda message: server.gone.set() if len(server.sent) > 2 else None
        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(app, policy=POLICY)(server.scope, server.receive, server.send)
        for _ in range(5):
            await asyncio.sleep(0)
        return closed

    assert asyncio.run(main()) == ["aclose"]


def test_a_frozen_reader_counts_as_gone() -> None:
    async def main() -> Any:
        server = Server()
        server.scope["seen"] = []
        frozen = asyncio.Event()
        server.on_send = lambda message: frozen.wait() if len(server.sent) > 3 else None
        async with asyncio.timeout(LIMIT):
            await StreamMiddleware(_deaf, policy=FlushPolicy(send_timeout=0.02))(
                server.scope, server.receive, server.send
            )
        return server.scope["seen"]

    assert issubclass(asyncio.run(main())[0], OSError)


async def _failing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await send({"type": "http.response.body", "body": b"data: a\n\n", "more_body": True})
    raise ValueError("in the middle")


@pytest.mark.parametrize(("policy", "told"), [(FlushPolicy(on_error="event"), True), (FlushPolicy(), False)])
def test_an_error_is_told_in_the_stream_or_left_to_the_server(policy: FlushPolicy, told: bool) -> None:
    traces: list[Trace] = []

    async def main() -> Server:
        server = Server()
        with pytest.raises(ValueError, match="in the middle"):
            app = StreamMiddleware(_failing, policy=policy, on_trace=traces.append)
            await app(server.scope, server.receive, server.send)
        return server

    server = asyncio.run(main())
    assert traces[0].end.outcome == "app_error"
    assert traces[0].end.reason == "ValueError"
    assert (b"event: error" in server.body) is told
    assert server.sent[-1].get("more_body", False) is not told


def test_under_another_event_loop_the_app_is_served_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    steps: Any = StreamMiddleware(app, policy=POLICY)(scope, send, send)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        steps.send(None)
    assert sent[0]["headers"] is EVENTS
    assert "needs asyncio" in caplog.text


def test_a_layer_that_holds_is_found() -> None:
    inner = tap(answer(TEXT, *[b"x"] * 5), "app")
    policy = FlushPolicy(on_hold="raise")
    assert serve(inner, policy).body == b"x" * 5
    with pytest.raises(HeldInside, match="3 chunks"):
        serve(buffering_asgi(inner), policy)
