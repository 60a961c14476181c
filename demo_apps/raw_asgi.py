"""A plain ASGI app with two streams: ten chunks, and a text model's tokens.

uvicorn --host 127.0.0.1 --port 8000 demo_apps.raw_asgi:app
curl -N http://127.0.0.1:8000/stream
curl -N -X POST 'http://127.0.0.1:8000/search?ai_prompt=Tell+me+something+funny'
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl

from demo_apps import query
from demo_apps.chunks import data_chunks_async, token_events_async

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PLAIN = "text/plain; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"


def stream(values: query.Query) -> tuple[str, AsyncGenerator[str]]:
    """Ten chunks of text."""
    return PLAIN, data_chunks_async(query.chunk_delay(values))


def search(values: query.Query) -> tuple[str, AsyncGenerator[str]]:
    """A model's tokens as server-sent events."""
    return EVENTS, token_events_async(query.prompt(values), query.parameters(values))


ROUTES: dict[str, tuple[str, Callable[[query.Query], tuple[str, AsyncGenerator[str]]]]] = {
    "/stream": ("GET", stream),
    "/search": ("POST", search),
}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer `/stream` and `/search`, and stop producing when the reader leaves."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(f"This app supports only HTTP, not {scope['type']}.")
    if scope["path"] not in ROUTES:
        await send_text(send, 404, "There is /stream (GET) and /search (POST).\n")
        return
    method, view = ROUTES[scope["path"]]
    if scope["method"] != method:
        await send_text(send, 405, f"Use {method}.\n", [(b"allow", method.encode())])
        return
    try:
        content_type, chunks = view(query_of(scope))
    except query.BadQueryError as error:
        await send_text(send, 400, str(error))
        return
    await until_disconnect(receive, send_stream(send, content_type, chunks))


def query_of(scope: Message) -> query.Query:
    """The query string's values by name."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


async def send_stream(send: Send, content_type: str, chunks: AsyncGenerator[str]) -> None:
    """Send each chunk as one body event."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", content_type.encode())],
        }
    )
    async with aclosing(chunks):
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def send_text(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Send a complete short response."""
    body = text.encode()
    fixed = [(b"content-type", PLAIN.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + (headers or [])})
    await send({"type": "http.response.body", "body": body})


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` and cancel it when the reader leaves, because servers silently discard what is sent after that."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})
    if not working.cancelled():
        working.result()  # raises what the stream raised


async def live(receive: Receive, send: Send) -> None:
    """Complete the lifespan events; the app has nothing to set up."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
