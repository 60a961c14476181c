"""ASGI messages, and apps and a ``receive`` made of them."""

from __future__ import annotations

import asyncio
from typing import Any

SCOPE = {"type": "http", "method": "GET", "path": "/a b", "query_string": b"q=1", "headers": [(b"cookie", b"x")]}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
DISCONNECT = {"type": "http.disconnect"}
LAST = {"type": "http.response.body"}


def piece(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            await send(message)

    return app


async def never() -> Any:
    await asyncio.Event().wait()
