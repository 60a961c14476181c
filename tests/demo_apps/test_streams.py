"""The apps hand over each chunk before the next; a layer that holds is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from ..support.demo_streams import ASGI_STREAMS, WSGI_STREAMS, Stream, load_needing
from ..support.demo_support import ASGIApplication, Reader


@pytest.mark.parametrize(("target", "package", "stream"), WSGI_STREAMS)
def test_wsgi_app_hands_over_each_chunk_before_the_next(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = load_needing(target, package)
    stream.assert_streamed(reader.read_wsgi(app, stream.target, method=stream.method))


@pytest.mark.parametrize(("target", "package", "stream"), ASGI_STREAMS)
def test_asgi_app_hands_over_each_chunk_before_the_next(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = load_needing(target, package)
    stream.assert_streamed(reader.read_asgi(app, stream.target, method=stream.method))


def buffering_wsgi(app: WSGIApplication) -> WSGIApplication:
    """Collects the whole body, then hands it over."""

    def collected(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return [b"".join(app(environ, start_response))]

    return collected


def one_behind_wsgi(app: WSGIApplication) -> WSGIApplication:
    """Hands each chunk over when it has the next: the least that can be held."""

    def lagging(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        held = b""
        for chunk in app(environ, start_response):
            yield held
            held = chunk
        yield held

    return lagging


@pytest.mark.parametrize("holding", [buffering_wsgi, one_behind_wsgi])
@pytest.mark.parametrize(("target", "package", "stream"), WSGI_STREAMS)
def test_wsgi_check_notices_a_layer_that_holds(
    reader: Reader,
    target: str,
    package: str | None,
    stream: Stream,
    holding: Callable[[WSGIApplication], WSGIApplication],
) -> None:
    app = holding(load_needing(target, package))
    reader.read_wsgi(app, stream.target, method=stream.method)
    assert reader.body == b"".join(stream.chunks)
    with pytest.raises(AssertionError):
        stream.assert_streamed(reader)


def buffering_asgi(app: ASGIApplication) -> ASGIApplication:
    """Collects the whole body, then sends it on."""

    async def collected(scope: Any, receive: Any, send: Any) -> None:
        body = b""

        async def collect(message: Any) -> None:
            nonlocal body
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await send({"type": "http.response.body", "body": body})

        await app(scope, receive, collect)

    return collected


@pytest.mark.parametrize(("target", "package", "stream"), ASGI_STREAMS)
def test_asgi_check_notices_a_layer_that_holds(
    reader: Reader, target: str, package: str | None, stream: Stream
) -> None:
    app = buffering_asgi(load_needing(target, package))
    reader.read_asgi(app, stream.target, method=stream.method)
    assert reader.body == b"".join(stream.chunks)
    with pytest.raises(AssertionError):
        stream.assert_streamed(reader)
