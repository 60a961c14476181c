"""Readers that know what they held each time an app in this process paused.

An app that streams is a sequence of chunks with a pause between them. Instead of timing the pauses, a test
stands in them: what the reader holds while the app is paused owes nothing to what the app has yet to produce.
An app behind a real server is paused by :mod:`tests.support.paused_server`.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import pytest

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

ROOT = Path(__file__).resolve().parents[2]

# An odd duration, so that no pause but the apps' own is taken for one.
PAUSE = 0.03125
PAUSES_OF_THE_APPS = {"DEMO_DELAY": str(PAUSE), "DEMO_TOKEN_DELAY": str(PAUSE)}

real_sleep = time.sleep
real_sleep_async = asyncio.sleep


def need(*distributions: str) -> None:
    """Skip without one of `distributions`; in CI, where all are promised, fail."""
    for name in distributions:
        try:
            distribution(name)
        except PackageNotFoundError:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} is not installed, and CI must run everything")
            pytest.skip(f"needs {name}: pip install {name}")


def load(target: str) -> Any:
    """The app at "package.module:attribute"."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def replace_pauses(
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[], None],
    *,
    idle: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Call `pause` wherever an app pauses, in no time, then `idle` if it is asynchronous."""

    def sleep(seconds: float) -> None:
        if seconds == PAUSE:
            pause()
        else:
            real_sleep(seconds)

    async def sleep_async(seconds: float, result: object = None) -> object:
        if seconds != PAUSE:
            return await real_sleep_async(seconds, result)
        pause()
        await (idle() if idle else real_sleep_async(0))
        return result

    for name, value in PAUSES_OF_THE_APPS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep_async)


@dataclass
class Reader:
    """What one request got, and what it had got at each pause of the app."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)
    held_at_pause: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.blocks)

    @property
    def text(self) -> str:
        return self.body.decode()

    def pause(self) -> None:
        self.held_at_pause.append(self.body)

    def read_wsgi(self, app: WSGIApplication, target: str, *, method: str = "GET", headers: Headers = ()) -> "Reader":
        """Read the response block by block, then close it."""
        parts = urlsplit(target)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers},
        }
        setup_testing_defaults(environ)

        def start_response(status: str, fields: list[tuple[str, str]], exc_info: object = None) -> Any:
            self.status = int(status.split()[0])
            self.headers = {name.lower(): value for name, value in fields}
            return self.blocks.append

        result = app(environ, start_response)
        try:
            for block in result:
                self.blocks.append(block)
        finally:
            if hasattr(result, "close"):
                result.close()
        return self

    def read_asgi(self, app: ASGIApplication, target: str, *, method: str = "GET", headers: Headers = ()) -> "Reader":
        """Read the response event by event, to its end."""
        asyncio.run(self.exchange(app, target, method=method, headers=headers))
        return self

    async def exchange(
        self,
        app: ASGIApplication,
        target: str,
        *,
        method: str = "GET",
        headers: Headers = (),
        leaving: asyncio.Event | None = None,
        on_block: Callable[[], None] = lambda: None,
    ) -> None:
        """The same inside a running loop, and the reader leaves when `leaving` is set."""
        parts = urlsplit(target)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1")] + [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        request = [{"type": "http.request", "body": b"", "more_body": False}]
        gone = leaving or asyncio.Event()

        async def receive() -> dict[str, Any]:
            if request:
                return request.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            elif message.get("body"):
                self.blocks.append(bytes(message["body"]))
                on_block()

        await app(scope, receive, send)
