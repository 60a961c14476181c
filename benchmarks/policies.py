"""What a policy costs a chunk, beside what others ship: ``python -m benchmarks --policies``.

Every row is Starlette's own StreamingResponse of events under a layer, in one event loop, held against it bare. The
rows take turns in each round, and the medians of the rounds count. Nothing here waits, so what is left is the layer.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from statistics import median
from typing import Any

from .drive import scope
from .subjects import recording

EVENT = b"data: " + b"x" * 100 + b"\n\n"


async def _events(chunks: int) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield EVENT


def _starlette(chunks: int) -> Any:
    from starlette.responses import StreamingResponse

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingResponse(_events(chunks), media_type="text/event-stream")(scope, receive, send)

    return app


def _sse_starlette(chunks: int) -> Any:
    from sse_starlette import EventSourceResponse

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await EventSourceResponse(_events(chunks))(scope, receive, send)

    return app


def _base_http(chunks: int) -> Any:
    from starlette.middleware.base import BaseHTTPMiddleware

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    return BaseHTTPMiddleware(_starlette(chunks), dispatch)


def _gzip(chunks: int) -> Any:
    from starlette.middleware.gzip import GZipMiddleware

    return GZipMiddleware(_starlette(chunks))


def _recorded(chunks: int) -> Any:
    return recording(_starlette(chunks))


def _policy(name: str, **changes: Any) -> Callable[[int], Any]:
    def make(chunks: int) -> Any:
        from streamproof import FlushPolicy, wrap

        policy = FlushPolicy(**changes) if name == "" else getattr(FlushPolicy, name)(**changes)
        return wrap(_starlette(chunks), policy=policy)

    return make


ROWS: dict[str, Callable[[int], Any]] = {
    "Starlette's response": _starlette,
    "BaseHTTPMiddleware": _base_http,
    "GZipMiddleware": _gzip,
    "sse-starlette's response": _sse_starlette,
    "recording": _recorded,
    "FlushPolicy()": _policy(""),
    "for_sse()": _policy("for_sse"),
    "for_tokens()": _policy("for_tokens"),
}


async def _receive() -> dict[str, Any]:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("The reader stays.")


async def _send(message: Any) -> None:
    """The server's send."""


def per_chunk(rounds: int = 15, chunks: int = 4000) -> dict[str, float]:
    """Microseconds a chunk over Starlette's own response, the median of so many rounds."""
    asked = scope()
    asked["headers"] = [*asked["headers"], (b"accept-encoding", b"gzip")]
    apps: dict[str, Any] = {}
    for name, make in ROWS.items():
        try:
            apps[name] = make(chunks)
            asyncio.run(make(1)(dict(asked), _receive, _send))
        except ImportError:
            apps.pop(name, None)
    seconds: dict[str, list[float]] = {name: [] for name in apps}
    with asyncio.Runner() as runner:
        for turn in range(rounds + 1):
            for name, app in apps.items():
                gc.collect()
                before = time.process_time()
                runner.run(app(dict(asked), _receive, _send))
                if turn:  # the first is for warming up
                    seconds[name].append(time.process_time() - before)
    bare = seconds.pop("Starlette's response")
    return {
        name: median(late - early for early, late in zip(bare, found, strict=True)) / chunks * 1e6
        for name, found in seconds.items()
    }


def table(rounds: int) -> str:
    """All rows."""
    lines = ["ASGI, a chunk over Starlette's own StreamingResponse", f"{'layer':28}{'us/chunk':>10}"]
    lines += [f"{name:28}{value:10.2f}" for name, value in per_chunk(rounds).items()]
    return "\n".join(lines)
