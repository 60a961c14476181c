"""The negative control: an app that is collected whole before its first byte leaves.

A test of a stream that also passes on ``buffered(app)`` proves nothing. Status, fields, bytes and the close stay as
they were. The app inside is tapped for the failure report. An endless stream is stopped after ``limit`` chunks, so
that a test of it fails instead of hanging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..adapters.taps import tap
from ..app_kind import kind_of
from ._requests import PATHSEND, TRAILERS

#: Chunks; past every stream that a test would call finite.
LIMIT = 1000


def buffered(app: Any, *, limit: int = LIMIT) -> Any:
    """``app`` with its body collected into one chunk, as the worst layer in between would do."""
    return _BufferedASGI(tap(app), limit) if kind_of(app) == "asgi" else _BufferedWSGI(tap(app), limit)


class _BufferedWSGI:
    def __init__(self, app: Any, limit: int) -> None:
        self.app, self._limit = app, limit

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        chunks: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
            return chunks.append

        result = self.app(environ, start)
        try:
            for _, chunk in zip(range(self._limit), result, strict=False):
                chunks.append(chunk)
        finally:
            if hasattr(result, "close"):
                result.close()
        return [b"".join(chunks)]


class _GivenUp(OSError):
    """The stream has no end. An OSError, since that is what a send to a reader who left may raise."""


class _BufferedASGI:
    def __init__(self, app: Any, limit: int) -> None:
        self.app, self._limit = app, limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chunks: list[bytes] = []
        start: dict[str, Any] = {}
        done = False

        async def collect(message: dict[str, Any]) -> None:
            nonlocal done
            if done and message["type"] == TRAILERS:
                await send(message)
                return
            if done:
                raise _GivenUp
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] == PATHSEND:
                chunks.append(Path(message["path"]).read_bytes())
            elif message["type"] == "http.response.body":
                chunks.append(bytes(message.get("body", b"")))
            else:
                await send(message)
                return
            if not message.get("more_body", False) or len(chunks) >= self._limit:
                done = True
                await send(start)
                await send({"type": "http.response.body", "body": b"".join(chunks)})

        try:
            await self.app(scope, receive, collect)
        except BaseException as error:
            if not _is_given_up(error):
                raise


def _is_given_up(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_given_up(inner) for inner in error.exceptions)
    return isinstance(error, _GivenUp) or isinstance(error.__cause__ or error.__context__, _GivenUp)
