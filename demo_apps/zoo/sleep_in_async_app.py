"""time.sleep in an async app stops the event loop: every other reader waits until the stream ends.

    uvicorn --host 127.0.0.1 --port 8000 demo_apps.zoo.sleep_in_async_app:app
    curl -N http://127.0.0.1:8000/stream & curl http://127.0.0.1:8000/ping

The stream itself looks healthy. `/ping` does no work, but takes five seconds.
"""

import time

from demo_apps.chunks import CHUNKS
from demo_apps.query import chunk_delay
from demo_apps.raw_asgi import PLAIN, Message, Receive, Send, query_of, send_text


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Send ten chunks at `/stream`, and a short response elsewhere."""
    if scope["type"] != "http":
        raise NotImplementedError(f"This app supports only HTTP, not {scope['type']}.")
    if scope["path"] != "/stream":
        await send_text(send, 200, "pong\n")
        return
    delay = chunk_delay(query_of(scope))
    head = [(b"content-type", PLAIN.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for number in range(CHUNKS):
        await send({"type": "http.response.body", "body": f"Data chunk {number}\n".encode(), "more_body": True})
        time.sleep(delay)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
