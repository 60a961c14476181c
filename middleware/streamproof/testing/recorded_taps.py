"""A tap: notes each chunk that an app hands over, somewhere inside a stack, and changes nothing.

Round the innermost app it makes the causal proof complete: then what a layer further out holds is seen even when it
cuts the body up again. Outside a test it only passes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..app_kind import kind_of, single_callable
from ._requests import PATHSEND
from .event_log import Watch, current


def tap(app: Any, name: str = "inner app") -> Any:
    """``app`` with a note in the running exchange's ledger for each of its chunks, under ``name``."""
    return _ASGITap(single_callable(app), name) if kind_of(app) == "asgi" else _WSGITap(app, name)


class _WSGITap:
    def __init__(self, app: Any, name: str) -> None:
        self.app, self.name = app, name

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        watch = current.get()
        if watch is None:
            return self.app(environ, start_response)  # type: ignore[no-any-return]
        place = watch.event_log.place(self.name)
        return _TappedBody(self.app(environ, start_response), watch, place)


class _TappedBody:
    def __init__(self, body: Iterable[bytes], watch: Watch, place: str) -> None:
        self._body, self._iterator = body, iter(body)
        self._watch, self._place = watch, place

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._iterator)
        self._watch.event_log.add(self._watch.now(), self._place, len(chunk))
        return chunk

    def close(self) -> None:
        if (close := getattr(self._body, "close", None)) is not None:
            close()


class _ASGITap:
    def __init__(self, app: Any, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        watch = current.get()
        if watch is None or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        place = watch.event_log.place(self.name)

        async def note(message: Any) -> None:
            if message["type"] == "http.response.body":
                watch.event_log.add(watch.now(), place, len(message.get("body", b"")))
            elif message["type"] == PATHSEND:
                watch.event_log.add(watch.now(), place, os.path.getsize(message["path"]))
            await send(message)

        await self.app(scope, receive, note)
