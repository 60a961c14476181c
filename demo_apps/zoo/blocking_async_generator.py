"""An async generator that blocks keeps daphne's event loop from writing: every chunk is held to the end.

    daphne --bind 127.0.0.1 --port 8000 demo_apps.zoo.blocking_async_generator:app
    curl -N http://127.0.0.1:8000/stream

Under uvicorn, which writes inside send(), the same chunks arrive one by one.
"""

import time
from collections.abc import AsyncGenerator

from demo_apps.chunks import CHUNKS
from demo_apps.query import chunk_delay
from demo_apps.raw_asgi import PLAIN, Message, Receive, Send, query_of, send_stream


async def blocking_chunks(delay: float) -> AsyncGenerator[str]:
    """Asynchronous by its name only: nothing in it gives way to the event loop."""
    for number in range(CHUNKS):
        yield f"Data chunk {number}\n"
        time.sleep(delay)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Ten chunks whatever the path."""
    if scope["type"] != "http":
        raise NotImplementedError(f"This app answers HTTP only, not {scope['type']}.")
    await send_stream(send, PLAIN, blocking_chunks(chunk_delay(query_of(scope))))
