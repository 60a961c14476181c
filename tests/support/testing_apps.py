"""Small apps that stream, pause and end in every way, in both interfaces, and how to ask for them in tests."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

Environ = dict[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
CI = os.environ.get("CI") == "true"
PLAIN = [("Content-Type", "text/plain")]


def need(*modules: str) -> None:
    """Skip without one of `modules`; in CI, where all are promised, fail."""
    for name in modules:
        if find_spec(name) is None:
            if CI:
                pytest.fail(f"{name} is not installed, and CI must run everything")
            pytest.skip(f"needs {name}: pip install {name}")


async def pause(seconds: float) -> None:
    """Sleep in whichever library runs."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


class WSGIStream:
    """`chunks` chunks, `seconds` apart; `events` says what happened. Endless when `chunks` is None."""

    def __init__(self, chunks: int | None = 5, seconds: float = 1.0, fails_at: int | None = None) -> None:
        self.chunks, self.seconds, self.fails_at = chunks, seconds, fails_at
        self.events: list[str] = []

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return self.body()

    def body(self) -> Iterator[bytes]:
        number = 0
        try:
            while self.chunks is None or number < self.chunks:
                if number == self.fails_at:
                    raise LookupError("the well is dry")
                number += 1
                self.events.append(f"made {number}")
                yield b"chunk %d\n" % number
                time.sleep(self.seconds)
        finally:
            self.events.append("closed")


class ASGIStream:
    """The same for ASGI; `listens` says whether it notices that its reader left."""

    def __init__(
        self, chunks: int | None = 5, seconds: float = 1.0, fails_at: int | None = None, listens: bool = True
    ) -> None:
        self.chunks, self.seconds, self.fails_at, self.listens = chunks, seconds, fails_at, listens
        self.events: list[str] = []
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        self.scope = scope
        await receive()
        if self.listens:
            import anyio

            async with anyio.create_task_group() as group:

                async def listen() -> None:
                    if (await receive())["type"] == "http.disconnect":
                        self.events.append("disconnected")
                        group.cancel_scope.cancel()

                group.start_soon(listen)
                await self.stream(send)
                group.cancel_scope.cancel()
        else:
            await self.stream(send)

    async def stream(self, send: Any) -> None:
        number = 0
        try:
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while self.chunks is None or number < self.chunks:
                if number == self.fails_at:
                    raise LookupError("the well is dry")
                number += 1
                self.events.append(f"made {number}")
                await send({"type": "http.response.body", "body": b"chunk %d\n" % number, "more_body": True})
                await pause(self.seconds)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.events.append("closed")
