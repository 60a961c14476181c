"""The apps without a framework, and Django beside them: answers, errors, readers who leave."""

from __future__ import annotations

import asyncio
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.validate import validator

import pytest

from ..support.demo_streams import DATA
from ..support.demo_support import ASGIApplication, Reader, load, need, replace_pauses


@pytest.mark.usefixtures("no_delay")
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/stream", 200),
        ("GET", "/stream?delay=0", 200),
        ("GET", "/stream?delay=soon", 400),
        ("GET", "/stream?delay=nan", 400),
        ("GET", "/stream?delay=-1", 400),
        ("POST", "/search?ai_prompt=rivers", 200),
        ("POST", "/search?ai_prompt=rivers&temperature=1&top_p=1&top_k=3&max_output_tokens=5", 200),
        ("POST", "/search", 400),
        ("POST", "/search?ai_prompt=rivers&temperature=9", 400),
        ("POST", "/search?ai_prompt=rivers&top_k=many", 400),
        ("GET", "/search?ai_prompt=rivers", 405),
        ("GET", "/elsewhere", 404),
    ],
)
def test_plain_apps_and_django_answer_alike(method: str, target: str, status: int) -> None:
    need("django")
    wsgi: list[WSGIApplication] = [
        validator(load("demo_apps.raw_wsgi:app")),
        load("demo_apps.django_stream:wsgi_app"),
    ]
    asgi: list[ASGIApplication] = [
        load("demo_apps.raw_asgi:app"),
        load("demo_apps.django_stream:asgi_app"),
    ]
    readers = [Reader().read_wsgi(app, target, method=method) for app in wsgi]
    readers += [Reader().read_asgi(app, target, method=method) for app in asgi]
    assert [reader.status for reader in readers] == [status] * 4
    if status in (200, 400):
        assert len({reader.body for reader in readers}) == 1


def test_a_wrong_environment_is_not_the_readers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DELAY", "soon")
    with pytest.raises(RuntimeError, match="DEMO_DELAY must be a number from 0 to 60, not 'soon'"):
        Reader().read_wsgi(load("demo_apps.raw_wsgi:app"), "/stream")


def test_raw_asgi_stops_in_a_silence_when_its_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave_in_the_first_pause() -> Reader:
        leaving = asyncio.Event()

        async def idle() -> None:
            leaving.set()
            await asyncio.Event().wait()  # a silence that ends only by cancellation

        replace_pauses(monkeypatch, lambda: None, idle=idle)
        reader = Reader()
        async with asyncio.timeout(10):
            await reader.exchange(load("demo_apps.raw_asgi:app"), "/stream", leaving=leaving)
        return reader

    assert asyncio.run(leave_in_the_first_pause()).body == DATA[0]


def test_raw_asgi_raises_what_its_stream_raised() -> None:
    async def broken_pipe(message: Any) -> None:
        raise OSError("gone")

    async def silent() -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/stream", "method": "GET", "query_string": b"delay=0"}
    with pytest.raises(OSError, match="gone"):
        asyncio.run(load("demo_apps.raw_asgi:app")(scope, silent, broken_pipe))


def test_raw_asgi_keeps_the_lifespan_protocol() -> None:
    messages = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[str] = []

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(load("demo_apps.raw_asgi:app")({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
