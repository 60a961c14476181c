"""The situations in which an ASGI stream can end, driven as servers drive them (ASGI HTTP specification)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ..sansio.trace import Request
from . import _contract_wsgi as wsgi
from ._asgi import ASGIExchange
from ._own_loop import OwnLoop
from .server_behavior import behavior_of

Faults = Iterator[str]
Situation = tuple[str, Callable[[], Faults]]
Make = Callable[[Any], Any]

#: Seconds that an app with threads gets to end; waited for only when it does not.
ENDS_WITHIN = 2.0
CHUNKS, MOST = wsgi.CHUNKS, wsgi.MOST


class Probe:
    """An app that records how it is treated: chunks sent, events received, how it ended."""

    def __init__(self, *, waits_after: int | None = None, raises: bool = False, deaf: bool = False) -> None:
        self.waits_after, self.raises, self.deaf = waits_after, raises, deaf
        self.produced = 0
        self.received: list[str] = []
        self.scopes: list[str] = []
        self.ended: str | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope.get("method", scope["type"]))
        if scope["type"] != "http":
            return
        try:
            await self._respond(receive, send)
            self.ended = "returned"
        except BaseException as error:
            self.ended = type(error).__name__
            raise

    async def _respond(self, receive: Any, send: Any) -> None:
        await receive()
        if self.waits_after == 0 and await self._gone(receive):
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        while self.produced < (MOST if self.deaf else CHUNKS):
            if self.produced == 2 and self.raises:
                raise wsgi.Dry("in mid-stream")
            self.produced += 1
            await send({"type": "http.response.body", "body": b"chunk %d\n" % self.produced, "more_body": True})
            await _turns()  # an app that streams awaits what it streams: layers with a task of their own get a turn
            if self.waits_after == self.produced and await self._gone(receive):
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _gone(self, receive: Any) -> bool:
        self.received.append((await receive())["type"])
        return True


def of_middleware(make: Make) -> Iterator[Situation]:
    """The situations for a middleware."""
    yield "each chunk leaves before the next is made", run(_streams, make)
    yield "left before the head", run(_left, make, 0)
    yield "left in mid-stream", run(_left_deaf, make)
    yield "left in a silence", run(_left, make, 1)
    yield "read to the end", run(_to_the_end, make)
    yield "the app raises in mid-stream", run(_raises, make)
    yield "the server stops in mid-stream", run(_stops, make)
    yield "a send that raises OSError", run(_os_error, make)
    yield "HEAD", run(_head, make)
    yield "lifespan and websocket are passed on", run(_other_scopes, make)


def run(check: Callable[..., Coroutine[Any, Any, list[str]]], *arguments: Any) -> Callable[[], Faults]:
    async def main() -> list[str]:
        return await check(*arguments)

    def drive() -> Faults:
        loop = OwnLoop()
        loop.hold()
        try:
            yield from loop.run(main())
        finally:
            loop.let_go()

    return drive


def ask(
    app: Any, method: str = "GET", target: str = "/", server: str = "uvicorn", window: int | None = 0
) -> ASGIExchange:
    request = Request(method, target, "1.1", (("host", "testserver"),))
    exchange = ASGIExchange(app, request, server=behavior_of(server, "asgi"), window=window)
    exchange.start()
    return exchange


async def read(exchange: ASGIExchange, chunks: int) -> list[bytes]:
    await exchange.head()
    received: list[bytes] = []
    while len(received) < chunks and (data := await exchange.read()) is not None:
        received.append(data)
    return received


async def _came(exchange: ASGIExchange, chunks: int) -> bool:
    """Do ``chunks`` come while the app waits after the last of them?"""
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            return len(await read(exchange, chunks)) == chunks
    except TimeoutError:
        return False


_HELD = "nothing had left while the app waited after its first chunk"


async def end(exchange: ASGIExchange) -> None:
    await exchange.close()
    await exchange.cancel()


async def _streams(make: Make) -> list[str]:
    probe, faults = Probe(), []
    exchange = ask(make(probe))
    await exchange.head()
    received: list[bytes] = []
    most = 0
    while (data := await exchange.read()) is not None:
        received.append(data)
        most = max(most, probe.produced - len(received))
    if most > 0 or len(received) < CHUNKS:
        faults.append(f"the app made {most + 1} chunks before one left ({probe.produced} became {len(received)})")
    if b"".join(received) != b"".join(b"chunk %d\n" % number for number in range(1, CHUNKS + 1)):
        faults.append(f"the bytes were changed: {b''.join(received)[:60]!r}")
    await end(exchange)
    return faults


async def _left(make: Make, chunks: int) -> list[str]:
    probe = Probe(waits_after=chunks)
    exchange = ask(make(probe))
    if chunks and not await _came(exchange, chunks):
        await exchange.cancel()
        return [_HELD]
    await _turns()
    await exchange.close()
    faults = [] if probe.received == ["http.disconnect"] or probe.ended == "CancelledError" else [_not_notified(probe)]
    await exchange.cancel()
    return faults


def _not_notified(probe: Probe) -> str:
    events = probe.received or "nothing"
    return f"the app did not learn that its reader left: receive() gave {events}, it {probe.ended or 'waits'}"


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def _left_deaf(make: Make) -> list[str]:
    """An app that only sends must not be stopped by an exception that no server raises, nor wait for ever."""
    probe = Probe(deaf=True)
    exchange = ask(make(probe))
    await read(exchange, 1)
    await exchange.close()
    await exchange.until_done(ENDS_WITHIN)
    faults = []
    if not exchange.app_done:
        faults.append(f"the app's send() never returned after its reader left ({probe.produced} chunks made)")
    await exchange.cancel()
    return faults


async def _to_the_end(make: Make) -> list[str]:
    probe = Probe()
    exchange = ask(make(probe))
    await read(exchange, MOST)
    await exchange.close()
    return [] if probe.ended == "returned" else [f"the app did not return: {probe.ended or 'it waits'}"]


async def _raises(make: Make) -> list[str]:
    exchange = ask(make(Probe(raises=True)))
    complete = False
    try:
        await read(exchange, MOST)
        complete = True
        await exchange.close()
    except Exception as error:
        if not _holds(error, wsgi.Dry):
            return [f"another exception came out: {error!r}"]
        return ["the response was completed before the app's exception came out"] if complete else []
    finally:
        await exchange.cancel()
    return ["what the app raised was swallowed: the response looks complete"]


def _holds(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_holds(inner, kind) for inner in error.exceptions)
    return isinstance(error, kind)


async def _stops(make: Make) -> list[str]:
    probe = Probe(waits_after=1)
    exchange = ask(make(probe))
    came = await _came(exchange, 1)
    await exchange.cancel()
    if not came:
        return [_HELD]
    faults = [] if exchange.app_done else ["the cancellation was swallowed: the task runs on"]
    if probe.ended is None:
        faults.append("the app was not unwound: its finally did not run")
    return faults


async def _os_error(make: Make) -> list[str]:
    probe = Probe(deaf=True)
    exchange = ask(make(probe), server="spec")
    await read(exchange, 1)
    await exchange.close()
    await exchange.until_done(ENDS_WITHIN)
    await exchange.cancel()
    if probe.produced >= MOST:
        return ["the server's OSError did not reach the app, which worked on (ASGI HTTP specification 2.4)"]
    return []


async def _head(make: Make) -> list[str]:
    probe = Probe()
    exchange = ask(make(probe), "HEAD")
    await read(exchange, MOST)
    await exchange.close()
    return [] if probe.scopes == ["HEAD"] else [f"the app received {probe.scopes}, not HEAD"]


async def _other_scopes(make: Make) -> list[str]:
    faults = []
    for kind in ("lifespan", "websocket"):
        probe = Probe()

        async def nothing(*message: Any) -> dict[str, Any]:
            return {"type": "none"}

        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0"},
            "path": "/",
            "headers": [],
            "query_string": b"",
        }
        await make(probe)(scope, nothing, nothing)
        if probe.scopes != [kind]:
            faults.append(f"the scope {kind!r} does not reach the app")
    return faults
