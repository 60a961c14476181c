"""Django's async test client, made to stream: its handler in a task of its own, as Django's ASGI handler runs views.

Django's client calls its handler without a server, so what Django's ASGI handler does towards a server is done here as
it does it (django.core.handlers.asgi, 5.2): a task that waits until the reader leaves and cancels the response, and
a sync iterator that is collected first, with Django's own warning.
"""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any

from ..adapters.taps import Sink, observer
from ..profiles import Via
from ..sansio.trace import Request
from ._asgi import ASGIExchange
from ._responses import put_head
from .server_behavior import ServerBehavior

Handler = Callable[[Any], Awaitable[Any]]

#: Turns of the loop until unreferenced generators are closed: two for each generator that Django wraps around one.
TURNS = 10


def streaming_handler(
    inner: Callable[[Any], Awaitable[Any]], server: ServerBehavior, via: Via | None
) -> Callable[[Any], Awaitable[Any]]:
    """``inner``, an ``AsyncClientHandler``, whose responses stream chunk by chunk through ``via``."""

    async def handler(scope: dict[str, Any]) -> Any:
        app = _App(inner, scope)
        exchange = ASGIExchange(app, _request(scope), server=server, via=via)
        exchange.start()
        try:
            head = await exchange.head()
        except BaseException:
            await exchange.cancel()
            raise
        response = app.response or _of_a_hop(scope)
        if response.streaming:
            response.streaming_content = Body(exchange)
            response.close, response.aclose = Leaving(exchange), exchange.close
        else:
            response.content = b"".join([chunk async for chunk in Body(exchange)])
        put_head(response, head)
        response.streamproof = exchange
        return response

    return handler


class Body:
    """The chunks that reach the reader; an iterator and no generator, so that nothing needs finalizing."""

    def __init__(self, exchange: ASGIExchange) -> None:
        self._exchange = exchange
        exchange.body_iterator = self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._exchange.read()
        if data is None:
            await self._exchange.close()
            raise StopAsyncIteration
        return data


class Leaving:
    """Django's ``response.close()``, which cannot be awaited: the app sees the reader leave in a task."""

    def __init__(self, exchange: ASGIExchange) -> None:
        self._exchange = exchange
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._leave())

    async def _leave(self) -> None:
        with suppress(Exception):  # in a server nothing awaits it
            await self._exchange.close()


class _App:
    """The handler as an ASGI app that answers one request, whatever scope it is given."""

    def __init__(self, inner: Callable[[Any], Awaitable[Any]], scope: dict[str, Any]) -> None:
        self._inner, self._scope = inner, scope
        self.response: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # the body, which the handler has from its client
        listening = asyncio.ensure_future(receive())
        answering = asyncio.ensure_future(self._answer(send))
        try:
            await asyncio.wait((listening, answering), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, answering):
                task.cancel()
            await asyncio.wait((listening, answering))
        if not answering.cancelled():
            answering.result()

    async def _answer(self, send: Any) -> None:
        response = self.response = await self._inner(self._scope)
        # Before the head goes out: then the content is replaced.
        parts = _parts(response) if response.streaming else None
        inner = getattr(response, "_iterator", None)
        fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
        await send({"type": "http.response.start", "status": response.status_code, "headers": fields})
        if parts is None:
            await send({"type": "http.response.body", "body": response.content})
            return
        try:
            async with aclosing(parts):
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            await _closed(inner)


def _parts(response: Any) -> Any:
    content = response.streaming_content
    return content if response.is_async else _collected(content)


async def _collected(content: Iterable[bytes]) -> Any:
    from asgiref.sync import sync_to_async

    warnings.warn(
        "StreamingHttpResponse must consume synchronous iterators in order to serve them asynchronously. Use an "
        "asynchronous iterator instead.",
        Warning,
        stacklevel=2,
    )
    collect: Any = sync_to_async(list)
    for part in await collect(_tapped(content, observer.get())):
        yield part


def _tapped(content: Iterable[bytes], observe: Callable[[str], Sink] | None) -> Iterator[bytes]:
    """Report each part: what is collected and cut up again would look like a stream from outside."""
    report = None if observe is None else observe("sync iterator")
    for part in content:
        if report is not None:
            report(len(part))
        yield part


async def _closed(iterator: Any) -> None:
    """Let the view's generator end before the app does, which Django leaves to the garbage collector."""
    if (close := getattr(iterator, "aclose", None)) is not None:
        await close()
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _of_a_hop(scope: dict[str, Any]) -> Any:
    """A response for the client where a hop answered in the app's place."""
    from django.core.handlers.asgi import ASGIRequest
    from django.http import HttpResponse

    response: Any = HttpResponse()
    response.asgi_request = ASGIRequest({**scope}, io.BytesIO())
    return response


def _request(scope: dict[str, Any]) -> Request:
    query = scope.get("query_string", "")
    query = query.decode("latin-1") if isinstance(query, bytes) else query
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(scope["method"], scope["path"] + (f"?{query}" if query else ""), "1.1", headers)
