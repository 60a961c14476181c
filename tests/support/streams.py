"""Apps for the servers that the tests boot: one that streams, its buffering twin, and one for each way to go wrong.

A pause ends when the reader says so where that is possible, else after PAUSE. Loaded by name in another process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

PAUSE = 0.06  # seconds; longer than what a verdict calls prompt
LINES = [b"line %d\n" % number for number in range(4)]


def _paused() -> Iterator[bytes]:
    for line in LINES:
        yield line
        time.sleep(PAUSE)


def streaming(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The stream that is wanted."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _paused()


def buffered(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Its twin: the same bytes, all at the end."""
    body = b"".join(_paused())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def sized(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """No stream: its length is known."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def raises_before(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """No response at all."""
    raise ValueError("before the head")


def raises_within(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Two chunks, then an error."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield LINES[0]
    time.sleep(PAUSE)
    yield LINES[1]
    raise ValueError("in the middle")


def answering(status: str, *headers: tuple[str, str], body: bytes = b"") -> Callable[..., Iterable[bytes]]:
    """An app that always says this."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [body]

    return app


missing = answering("404 Not Found", body=b"nothing here\n")
moved = answering("302 Found", ("Location", "/there"))


def endless(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """It stops when the server closes it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    while True:
        yield b"tick\n"
        time.sleep(PAUSE)


def silent(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """One chunk, then nothing for a minute."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield LINES[0]
    time.sleep(60)


def factory() -> Any:
    """Makes the app."""
    return streaming


def broken_factory() -> Any:
    """Cannot make it."""
    raise LookupError("no configuration")


async def streaming_async(scope: Any, receive: Any, send: Any) -> None:
    """The stream that is wanted, for an event loop; no lifespan."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for line in LINES:
        await send({"type": "http.response.body", "body": line, "more_body": True})
        await asyncio.sleep(PAUSE)
    await send({"type": "http.response.body", "body": b""})


async def no_start(scope: Any, receive: Any, send: Any) -> None:
    """An app whose start-up fails."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})


number = 3
