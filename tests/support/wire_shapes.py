"""Response shapes that servers treat differently, each served bare under /bare/ and recorded under /recorded/."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streamproof import asgi, wsgi

HERE = os.path.abspath(__file__)
PLAIN = [("Content-Type", "text/plain")]


class Sized:
    """A body with a length that may be iterated again."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[bytes]:
        return iter((b"one", b"two"))


class Closing:
    """A one-shot iterator with close()."""

    def __init__(self) -> None:
        self._blocks = iter((b"a", b"bb"))

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        pass


def _late(start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"late"


def _failing(after: int) -> Iterator[bytes]:
    for _ in range(after):
        yield b"before the fault"
    raise RuntimeError("asked for")


def _written(start_response: Any, rest: list[bytes]) -> list[bytes]:
    write = start_response("200 OK", PLAIN)
    if write is not None:
        write(b"writ")
        write(b"ten")
    return rest


def _replaced(start_response: Any) -> list[bytes]:
    start_response("200 OK", PLAIN)
    try:
        raise RuntimeError("asked for")
    except RuntimeError as error:
        start_response("500 Sorry", PLAIN, (RuntimeError, error, None))
    return [b"sorry"]


def _started(body: Callable[[], Any], status: str = "200 OK", *more: tuple[str, str]) -> Callable[[Any, Any], Any]:
    def shape(environ: Any, start_response: Any) -> Any:
        start_response(status, [*PLAIN, *more])
        return body()

    return shape


def _file(environ: Any, start_response: Any, *more: tuple[str, str]) -> Any:
    start_response("200 OK", [*PLAIN, *more])
    file = open(HERE, "rb")  # noqa: SIM115  # the wrapper closes it
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(file, 8192) if wrapper is not None else Piped(file)


class Piped:
    """What an app falls back to without a file wrapper."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(8192), b"")


def _bytes_file(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    return environ.get("wsgi.file_wrapper", lambda file, size: Piped(file))(io.BytesIO(b"x" * 20000), 8192)


WSGI_SHAPES: dict[str, Callable[[Any, Any], Any]] = {
    "list_of_one": _started(lambda: [b"hello"]),
    "list_of_three": _started(lambda: [b"a", b"", b"ccc"]),
    "empty_list": _started(list),
    "tuple_of_one": _started(lambda: (b"hello",)),
    "tuple_of_two": _started(lambda: (b"a", b"bb")),
    "sized": _started(Sized),
    "generator": _started(lambda: (b"x" * size for size in (1, 20, 300))),
    "big_blocks": _started(lambda: (b"x" * 70000 for _ in range(3))),
    "empty_first": _started(lambda: iter((b"", b"then"))),
    "empty_generator": _started(lambda: iter(())),
    "closing": _started(Closing),
    "length": _started(lambda: iter((b"abc", b"de")), "200 OK", ("Content-Length", "5")),
    "length_zero": _started(lambda: iter(()), "200 OK", ("Content-Length", "0")),
    "excess": _started(lambda: iter((b"abc", b"de")), "200 OK", ("Content-Length", "4")),
    "cookies": _started(lambda: [b"ok"], "200 Fine", ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")),
    "no_content": lambda environ, start: (start("204 No Content", []), iter(()))[1],
    "not_modified": lambda environ, start: (start("304 Not Modified", [("ETag", '"e"')]), [])[1],
    "late_start": lambda environ, start: _late(start),
    "written": lambda environ, start: _written(start, []),
    "written_and_more": lambda environ, start: _written(start, [b" and more"]),
    "replaced": lambda environ, start: _replaced(start),
    "file": _file,
    "file_with_length": lambda environ, start: _file(environ, start, ("Content-Length", str(os.stat(HERE).st_size))),
    "file_in_memory": _bytes_file,
    "fails_at_once": lambda environ, start: _failing(0),
    "fails_in_the_stream": _started(lambda: _failing(1)),
}


def wsgi_shapes(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Serve the shape that the path ends in."""
    shape = WSGI_SHAPES[environ["PATH_INFO"].rpartition("/")[2]]
    return shape(environ, start_response)  # type: ignore[no-any-return]


_recorded_wsgi = wsgi.StreamMiddleware(wsgi_shapes, on_trace=lambda trace: None)


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The app for the server."""
    if environ["PATH_INFO"] == "/ready":
        start_response("200 OK", [("Content-Length", "0")])
        return []
    app = _recorded_wsgi if environ["PATH_INFO"].startswith("/recorded/") else wsgi_shapes
    return app(environ, start_response)


def _start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"x"), *headers], **more}


def _body(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


ASGI_SHAPES: dict[str, list[dict[str, Any] | Exception]] = {
    "one": [_start(), _body(b"hello", False)],
    "start_without_more_keys": [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}],
    "three": [_start(), _body(b"a"), _body(b"bb"), _body(b"", False)],
    "last_full": [_start(), _body(b"a"), _body(b"bb", False)],
    "empty_first": [_start(), _body(b""), _body(b"then"), _body(b"", False)],
    "big": [_start(), *[_body(b"x" * 70000)] * 3, _body(b"", False)],
    "length": [_start(200, (b"content-length", b"5")), _body(b"abc"), _body(b"de", False)],
    "length_zero": [_start(200, (b"content-length", b"0")), _body(b"", False)],
    "cookies": [_start(200, (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")), _body(b"ok", False)],
    "no_content": [_start(204), _body(b"", False)],
    "not_modified": [_start(304, (b"etag", b'"e"')), _body(b"", False)],
    "server_error": [_start(503), _body(b"no", False)],
    "trailers_announced": [
        _start(trailers=True),
        _body(b"a", False),
        {"type": "http.response.trailers", "headers": []},
    ],
    "debug": [{"type": "http.response.debug", "info": {}}, _start(), _body(b"a", False)],
    "fails_at_once": [RuntimeError("asked for")],
    "fails_after_the_head": [_start(), RuntimeError("asked for")],
    "fails_in_the_stream": [_start(), _body(b"a"), RuntimeError("asked for")],
    "returns_early": [_start(), _body(b"a")],
    "fails_after_the_end": [_start(), _body(b"a", False), RuntimeError("asked for")],
    "unknown_message": [_start(), {"type": "http.response.unheard_of"}, _body(b"a", False)],
}


async def asgi_shapes(scope: Any, receive: Any, send: Any) -> None:
    """Serve the shape that the path ends in."""
    for message in ASGI_SHAPES[scope["path"].rpartition("/")[2]]:
        if isinstance(message, Exception):
            raise message
        await send(dict(message))


_recorded_asgi = asgi.StreamMiddleware(asgi_shapes, on_trace=lambda trace: None)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """The app for the server."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/ready":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
    else:
        app = _recorded_asgi if scope["path"].startswith("/recorded/") else asgi_shapes
        await app(scope, receive, send)
