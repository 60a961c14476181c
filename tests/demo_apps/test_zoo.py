"""Each exhibit of the zoo shows its fault."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from queue import SimpleQueue
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import pytest

from demo_apps.chunks import CHUNKS
from demo_apps.zoo import ZOO, Exhibit

from ..support.demo_streams import DATA, EXHIBITS, STREAM
from ..support.demo_support import ROOT, ASGIApplication, Headers, Reader, load, need, replace_pauses
from ..support.paused_server import PausedServer


def load_exhibit(exhibit: Exhibit) -> Any:
    need(*filter(None, [exhibit.package]))
    return load(exhibit.target)


def read_exhibit(reader: Reader, exhibit: Exhibit, headers: Headers) -> Reader:
    app = load_exhibit(exhibit)
    if exhibit.kind == "wsgi":
        return reader.read_wsgi(app, exhibit.path, headers=headers)
    return reader.read_asgi(app, exhibit.path, headers=headers)


def decoded(encoding: str | None, body: bytes) -> bytes:
    """What can be read of the beginning of an encoded body."""
    if encoding == "gzip":
        return zlib.decompressobj(wbits=31).decompress(body)
    if encoding == "br":
        brotli: Any = import_module("brotli")
        plain: bytes = brotli.Decompressor().process(body)
        return plain
    assert encoding is None
    return body


@pytest.mark.parametrize(
    "name",
    ["starlette_compress", "flask_compress", "django_gzip", "django_blocking_iterator", "werkzeug_profiler"],
)
def test_exhibit_holds_every_chunk_to_the_end(reader: Reader, name: str) -> None:
    exhibit = EXHIBITS[name]
    warned = (
        pytest.warns(Warning, match="must consume synchronous iterators")
        if name == "django_blocking_iterator"
        else nullcontext()
    )
    with warned:
        read_exhibit(reader, exhibit, exhibit.headers)
    encoding = reader.headers.get("content-encoding")
    assert encoding == dict(exhibit.headers).get("Accept-Encoding")
    assert [decoded(encoding, held) for held in reader.held_at_pause] == [b""] * CHUNKS
    assert decoded(encoding, reader.body) == b"".join(DATA)


@pytest.mark.parametrize("name", ["starlette_compress", "flask_compress", "django_gzip"])
def test_compressing_exhibit_streams_to_a_reader_who_accepts_no_encoding(reader: Reader, name: str) -> None:
    STREAM.assert_streamed(read_exhibit(reader, EXHIBITS[name], ()))


def test_django_gzip_lets_its_header_out_at_once(reader: Reader) -> None:
    exhibit = EXHIBITS["django_gzip"]
    read_exhibit(reader, exhibit, exhibit.headers)
    assert reader.held_at_pause[0][:2] == b"\x1f\x8b"  # a first byte that proves nothing about the rest
    assert len(set(reader.held_at_pause)) == 1


@pytest.mark.usefixtures("no_delay")
def test_bridge_never_closes_what_a_server_would(capsys: pytest.CaptureFixture[str]) -> None:
    exhibit = EXHIBITS["bridge_never_closes"]
    assert read_exhibit(Reader(), exhibit, exhibit.headers).body == b"".join(DATA)
    assert capsys.readouterr().out == "the body begins\n"
    Reader().read_wsgi(load(exhibit.target.replace(":app", ":wsgi_app")), exhibit.path)
    assert capsys.readouterr().out == "the body begins\nclose() ran\n"


def first_chunk(app: WSGIApplication) -> tuple[bytes, Iterator[bytes]]:
    """The first chunk, and the rest that nobody has asked for."""
    environ: dict[str, Any] = {"PATH_INFO": "/stream"}
    setup_testing_defaults(environ)
    chunks = iter(app(environ, lambda *_: lambda _: None))
    return next(chunks), chunks


def test_queue_runs_ahead_of_a_reader_who_took_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: SimpleQueue[None] = SimpleQueue()
    replace_pauses(monkeypatch, lambda: pauses.put(None))
    held, rest = first_chunk(load("demo_apps.raw_wsgi:app"))
    assert pauses.empty()
    held, rest = first_chunk(load_exhibit(EXHIBITS["queue_runs_ahead"]))
    for _ in DATA:
        pauses.get(timeout=10)
    assert [held, *rest] == DATA


async def order_of_answers(app: ASGIApplication) -> list[str]:
    """Who got bytes and when, of the stream's reader and of another who asks for something short."""
    order: list[str] = []
    await asyncio.gather(
        Reader().exchange(app, "/stream", on_block=lambda: order.append("stream")),
        Reader().exchange(app, "/ping", on_block=lambda: order.append("other")),
    )
    return order


@pytest.mark.usefixtures("reader")
def test_sleep_in_async_app_makes_other_readers_wait() -> None:
    order = asyncio.run(order_of_answers(load("demo_apps.raw_asgi:app")))
    assert order[-1] == "stream"
    order = asyncio.run(order_of_answers(load_exhibit(EXHIBITS["sleep_in_async_app"])))
    assert order == ["stream"] * CHUNKS + ["other"]


@pytest.mark.servers
def test_sleep_in_async_app_makes_other_readers_wait_at_uvicorn() -> None:
    need("uvicorn")
    exhibit = EXHIBITS["sleep_in_async_app"]
    with PausedServer(exhibit.server, exhibit.target) as server, server.request(exhibit.path) as reader:
        server.wait_for_pause()
        with server.request("/ping") as other:
            for chunk in DATA:
                reader.read_until(chunk)
                assert other.read_arrived() == b""
                server.resume()
                if chunk != DATA[-1]:
                    server.wait_for_pause()
            other.read_until(b"pong")


@pytest.mark.servers
def test_blocking_async_generator_is_held_by_daphne() -> None:
    need("daphne")
    exhibit = EXHIBITS["blocking_async_generator"]
    with PausedServer(exhibit.server, exhibit.target) as server, server.request(exhibit.path) as reader:
        for _ in DATA:
            server.wait_for_pause()
            assert reader.read_arrived() == b""
            server.resume()
        reader.read_until(DATA[-1])
    assert all(chunk in reader.received for chunk in DATA)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("server_name", "target"),
    [
        ("daphne", "demo_apps.raw_asgi:app"),
        ("uvicorn", "demo_apps.zoo.blocking_async_generator:app"),
        ("gunicorn", "demo_apps.raw_wsgi:app"),
    ],
)
def test_chunk_reaches_the_reader_while_the_app_is_paused(server_name: str, target: str) -> None:
    need(server_name)
    with PausedServer(server_name, target) as server, server.request("/stream") as reader:
        for chunk in DATA:
            server.wait_for_pause()
            reader.read_until(chunk)
            server.resume()


def test_zoo_lists_every_exhibit_once() -> None:
    modules = {path.stem for path in (ROOT / "demo_apps" / "zoo").glob("*.py")} - {"__init__"}
    assert {exhibit.target for exhibit in ZOO} == {f"demo_apps.zoo.{module}:app" for module in modules}
    assert len(EXHIBITS) == len(ZOO)


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_exhibit_says_what_is_wrong_and_how_to_run_it(exhibit: Exhibit) -> None:
    need(*filter(None, [exhibit.package]))
    module = exhibit.target.partition(":")[0]
    first, *rest = (import_module(module).__doc__ or "").splitlines()
    assert first.endswith(".")
    commands = [line.split() for line in rest]
    assert any(words[:1] == [exhibit.server] and words[-1] == exhibit.target for words in commands)
