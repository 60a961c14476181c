"""A server that calls a WSGI app and keeps what it was given, and apps for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults


class Server:
    """Calls an app as a server would and keeps what it was given."""

    def __init__(self, app: Any, **environ: Any) -> None:
        self.environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/there", **environ}
        setup_testing_defaults(self.environ)
        self.starts: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []
        self.body = app(self.environ, self.start_response)

    def start_response(self, *args: Any) -> Callable[[bytes], object]:
        self.starts.append(args)
        return self.written.append

    def finish(self) -> bytes:
        try:
            return b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()


class Body:
    """An app's iterable: its blocks, its failures, and how often it was closed."""

    def __init__(self, *blocks: bytes | BaseException, fault_in_close: Exception | None = None) -> None:
        self._blocks, self._fault = blocks, fault_in_close
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if isinstance(block, BaseException):
                raise block
            yield block

    def close(self) -> None:
        self.closed += 1
        if self._fault is not None:
            raise self._fault


def answering(body: Any, status: str = "200 OK", headers: list[tuple[str, str]] | None = None) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [("Content-Type", "text/plain")] if headers is None else headers)
        return body

    return app
