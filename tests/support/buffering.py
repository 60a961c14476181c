"""Wrappers that hold a whole body and let it go at the end: what every streaming test must notice."""

from __future__ import annotations

from typing import Any


def buffering_wsgi(app: Any) -> Any:
    """``app`` with its blocks in one."""

    def collected(environ: Any, start_response: Any) -> Any:
        body = app(environ, start_response)
        try:
            return [b"".join(body)]
        finally:
            if hasattr(body, "close"):
                body.close()

    return collected


def buffering_asgi(app: Any) -> Any:
    """``app`` with its body events in one."""

    async def collected(scope: Any, receive: Any, send: Any) -> None:
        held: list[bytes] = []

        async def hold(message: Any) -> None:
            if message["type"] == "http.response.body":
                held.append(message.get("body", b""))
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": b"".join(held)}
            await send(message)

        await app(scope, receive, hold)

    return collected
