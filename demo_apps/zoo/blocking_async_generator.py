"""An async generator blocks, so daphne's event loop cannot write: every chunk is held to the end.

    daphne --bind 127.0.0.1 --port 8000 demo_apps.zoo.blocking_async_generator:app
    curl -N http://127.0.0.1:8000/stream

uvicorn writes inside send(), so with uvicorn the same chunks arrive one by one.
"""

import time
from collections.abc import AsyncGenerator

from demo_apps.chunks import CHUNKS
from demo_apps.query import chunk_delay
from demo_apps.raw_asgi import PLAIN, Message, Receive, Send, query_of, send_stream


async def blocking_chunks(delay: float) -> AsyncGenerator[str]:
    """An async generator that never yields to the event loop."""
    for number in range(CHUNKS):
        yield f"Data chunk {number}\n"
        time.sleep(delay)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Send ten chunks on every path."""
    if scope["type"] != "http":
        raise NotImplementedError(f"This app supports only HTTP, not {scope['type']}.")
    await send_stream(send, PLAIN, blocking_chunks(chunk_delay(query_of(scope))))
