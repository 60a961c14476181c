"""Responses of httpx and httpx2 that read from an exchange, with broken ends as the library's own errors.

The classes come from the library of the request, so neither is imported here. A body is an iterator and not a
generator, so one that is left half-way has nothing to finalize.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any, NoReturn

from ..sansio.machine import Head
from ._asgi import ASGIExchange
from ._own_loop import OwnLoop
from .errors import BrokenResponse, OpenForEver
from .recorded import RecordedTrace, trace_of


def library_of(request: Any) -> ModuleType:
    """Return httpx or httpx2, whichever ``request`` comes from."""
    for kind in type(request).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    raise TypeError(f"{request!r} is not a request of httpx or httpx2.")


@cache
def _response_class(library: ModuleType) -> Any:
    class StreamedResponse(library.Response):  # type: ignore[misc,name-defined]
        """A response with its ``trace``; the exchange is its extension ``streamproof``."""

        @property
        def trace(self) -> RecordedTrace:
            """The recording; RuntimeError while the response runs."""
            return trace_of(self)

    StreamedResponse.__name__ = StreamedResponse.__qualname__ = "Response"
    return StreamedResponse


def response_of(library: ModuleType, head: Head, exchange: Any, body: SyncBody | AsyncBody) -> Any:
    """Return the library's response with ``body``. It has the trace."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    kind = _response_class(library)
    stream = _async_stream(library)(body) if isinstance(body, AsyncBody) else _sync_stream(library)(body)
    extensions = {"streamproof": exchange}
    if (trailers := getattr(exchange, "trailers", None)) is not None:
        extensions["trailers"] = trailers
    return kind(head.status, headers=headers, stream=stream, extensions=extensions)


@cache
def _sync_stream(library: ModuleType) -> Any:
    class Stream(library.SyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, body: SyncBody) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            # Not the body itself: ``yield from`` would close it, and with it the response, if a reader stops half-way.
            return iter(partial(next, self._body, None), None)

        def close(self) -> None:
            self._body.close()

    return Stream


@cache
def _async_stream(library: ModuleType) -> Any:
    class Stream(library.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, body: AsyncBody) -> None:
            self._body = body

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._body

        async def aclose(self) -> None:
            await self._body.aclose()

    return Stream


class errors_of:
    """Raise broken ends as the library's own errors, so that tests need only those."""

    def __init__(self, library: ModuleType, request: Any) -> None:
        self._library, self._request = library, request

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BrokenResponse):
            self._raise("RemoteProtocolError", error)
        if isinstance(error, OpenForEver):
            self._raise("ReadTimeout", error)

    def _raise(self, name: str, error: BaseException) -> NoReturn:
        raise getattr(self._library, name)(str(error), request=self._request) from error


class SyncBody:
    """The body of a sync client's response."""

    def __init__(self, exchange: Any, library: ModuleType, request: Any) -> None:
        self._exchange, self._errors = exchange, errors_of(library, request)
        exchange.body_iterator = self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._errors:
            data = self._read()
        if data is None:
            raise StopIteration
        return data

    def _read(self) -> bytes | None:
        return self._exchange.read()  # type: ignore[no-any-return]

    def close(self) -> None:
        self._exchange.close()


class OwnLoopBody(SyncBody):
    def __init__(self, exchange: ASGIExchange, library: ModuleType, request: Any, own: OwnLoop) -> None:
        super().__init__(exchange, library, request)
        self._own, self._closed = own, False

    def _read(self) -> bytes | None:
        return self._own.run(self._exchange.read())  # type: ignore[no-any-return]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._own.run(self._exchange.close())
            finally:
                self._own.let_go()


class AsyncBody:
    def __init__(self, exchange: Any, library: ModuleType, request: Any) -> None:
        self._exchange, self._errors = exchange, errors_of(library, request)
        exchange.body_iterator = self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        with self._errors:
            data: bytes | None = await exchange.read() if exchange.is_async else exchange.read()
        if data is None:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        if self._exchange.is_async:
            await self._exchange.close()
        else:
            self._exchange.close()


def put_head(response: Any, head: Head) -> None:
    """Give Django's ``response`` the head that reached the reader."""
    response.status_code = head.status
    for name in {name for name, _ in response.items()} - {name for name, _ in head.headers}:
        del response[name]
    for name, value in head.headers:
        response[name] = value
