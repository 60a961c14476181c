"""Drives a wrapped app as a server does, without a server: ``python -m benchmarks.drive PROTOCOL SUBJECT CHUNKS``.

The app yields one prepared block again and again, so the remaining cost is that of the layer around it. callgrind runs
it twice with different numbers of chunks. The difference is the cost per chunk, without the cost per response.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from streamproof.adapters import compiled

from .subjects import SUBJECTS

#: The environment variable that turns off the compiled counting in child processes.
PURE = "BENCHMARKS_PURE"

BLOCK = b"x" * 100
MESSAGE = {"type": "http.response.body", "body": BLOCK, "more_body": True}


def wsgi_app(chunks: int) -> Any:
    """An app that streams ``chunks`` blocks."""

    def body() -> Any:
        for _ in range(chunks):
            yield BLOCK

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body()

    return app


def asgi_app(chunks: int) -> Any:
    """An app that sends ``chunks`` messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for _ in range(chunks):
            await send(MESSAGE)
        await send({"type": "http.response.body", "body": b""})

    return app


def own(function: Callable[..., Any]) -> Callable[..., Any]:
    """Copy ``function`` with its bytecode, because CPython specializes bytecode to its calls, which differ by layer."""

    def copy(code: CodeType) -> CodeType:
        return code.replace(
            co_consts=tuple(copy(each) if isinstance(each, CodeType) else each for each in code.co_consts)
        )

    return FunctionType(copy(function.__code__), function.__globals__, function.__name__)


def environ() -> dict[str, Any]:
    """The environ of a request, as gunicorn passes it."""
    from werkzeug.test import create_environ

    return {**create_environ("/stream?n=1"), "SERVER_SOFTWARE": "gunicorn/27.0.1", "RAW_URI": "/stream?n=1"}


def scope() -> dict[str, Any]:
    """The scope of a request, as uvicorn passes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/stream",
        "raw_path": b"/stream",
        "query_string": b"n=1",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"wrk"), (b"accept", b"*/*")],
    }


def _started(status: str, headers: Any, exc_info: Any = None) -> Any:
    return _written


def _written(data: bytes) -> None:
    """The server's write callable."""


def serve_wsgi(app: Any, request: dict[str, Any]) -> None:
    """Serve one request as a WSGI server does."""
    result = app(request, _started)
    try:
        for block in result:
            _written(block)
    finally:
        if (close := getattr(result, "close", None)) is not None:
            close()


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


async def _send(message: Any) -> None:
    """The server's send callable."""


def serve_asgi(app: Any, request: dict[str, Any]) -> None:
    """Serve one request as an ASGI server does. Nothing in it waits."""
    coroutine = app(request, _receive, _send)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


async def _receive_in_a_loop() -> dict[str, Any]:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("The future is never resolved, because the reader does not leave.")


def runner(protocol: str, subject: str, chunks: int, *, in_loop: bool = False) -> Callable[[], None]:
    """A callable that serves one response of ``chunks`` chunks through the layer, in an event loop if ``in_loop``."""
    if protocol == "wsgi":
        wsgi, first, serve = SUBJECTS[protocol][subject](own(wsgi_app)(chunks)), environ(), own(serve_wsgi)
        return lambda: serve(wsgi, dict(first))
    asgi, scoped, serve = SUBJECTS[protocol][subject](own(asgi_app)(chunks)), scope(), own(serve_asgi)
    if in_loop:
        loop = asyncio.new_event_loop()
        return lambda: loop.run_until_complete(asgi(dict(scoped), _receive_in_a_loop, _send))
    return lambda: serve(asgi, dict(scoped))


def uncompiled() -> None:
    """Count in Python, in this process and in its child processes."""
    compiled.counting = None
    os.environ[PURE] = "1"


def main(protocol: str, subject: str, chunks: str) -> None:
    """Serve one response to warm up, then one of ``chunks`` chunks."""
    if os.environ.get(PURE):
        uncompiled()
    run = runner(protocol, subject, int(chunks))
    runner(protocol, subject, 200)()
    run()


if __name__ == "__main__":
    main(*sys.argv[1:])
