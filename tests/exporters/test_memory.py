"""Constant memory: an open stream and the queue keep no bodies, whichever exporter is on."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof import Chunk, Outcome, Trace
from streamproof.exporters import background
from streamproof.exporters.background import Background
from streamproof.exporters.jsonl import read
from streamproof.sansio.trace import Request, StreamEnd
from streamproof.settings.assembly import REPLAYABLE, Assembly
from streamproof.settings.loading import load

from ..support.exported import Full
from ..support.live_support import need

PIECE = 64 * 1024
COUNT = 320  # 20 MiB in all
ROOM = 2 * 1024 * 1024

EXPORTERS = [
    {"log": "json"},
    {"prometheus": True},
    {"opentelemetry": True},
    {"jsonl": "t.jsonl"},
    {"jsonl": "t.jsonl", "keep_chunks": True},
]


def assembled(chosen: dict[str, Any], folder: Path) -> Assembly:
    for name, module in (("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry")):
        if name in chosen:
            need(module)
    if "jsonl" in chosen:
        chosen = {**chosen, "jsonl": str(folder / chosen["jsonl"])}
    return Assembly(load({"log": "off", **chosen}, folder=folder, environ={}))


def wsgi_kept(assembly: Assembly) -> int:
    """The bytes that one WSGI stream keeps until its end."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(COUNT):
            yield bytes(PIECE)

    body = iter(assembly.wrap(app)(create_environ(), lambda *head: None))
    next(body)
    tracemalloc.start()
    try:
        for _ in range(COUNT - 2):
            next(body)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        assert len(list(body)) == 1
        body.close()


def asgi_kept(assembly: Assembly) -> int:
    """The same of an ASGI stream."""
    kept = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal kept
        await send({"type": "http.response.start", "status": 200, "headers": []})
        tracemalloc.start()
        try:
            for _ in range(COUNT):
                await send({"type": "http.response.body", "body": bytes(PIECE), "more_body": True})
            kept = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        await send({"type": "http.response.body", "body": b""})

    async def nothing(message: Any = None) -> Any:
        await asyncio.sleep(0)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/", "headers": []}
    asyncio.run(assembly.wrap(app)(scope, nothing, nothing))
    return kept


@pytest.mark.parametrize("kept", [wsgi_kept, asgi_kept])
@pytest.mark.parametrize("chosen", EXPORTERS, ids=str)
def test_an_open_stream_keeps_no_bodies(chosen: dict[str, Any], kept: Any, tmp_path: Path) -> None:
    assembly = assembled(chosen, tmp_path)
    assert kept(assembly) < ROOM
    assembly.flush()


@pytest.mark.parametrize("kept", [wsgi_kept, asgi_kept])
@pytest.mark.parametrize(
    "chosen",
    [{"jsonl": "t.jsonl", "bodies": True}, {"keep_chunks": True, "on_trace": "operator:not_"}],
    ids=str,
)
def test_bodies_are_kept_where_they_are_asked_for(chosen: dict[str, Any], kept: Any, tmp_path: Path) -> None:
    """The twin: what the test above would see if bodies were kept."""
    assembly = assembled(chosen, tmp_path)
    assert kept(assembly) > 10 * ROOM - PIECE * 10
    assembly.flush()


def test_a_trace_file_has_the_first_chunks_and_the_statistics_of_all(tmp_path: Path) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(REPLAYABLE + 5):
            yield b"ab"

    assembly = assembled({"jsonl": "t.jsonl"}, tmp_path)
    body = assembly.wrap(app)(create_environ(), lambda *head: None)
    list(body)
    body.close()
    assembly.flush()
    (trace,) = read(tmp_path / "t.jsonl")
    assert (len(trace.chunks), trace.stats.chunks, trace.stats.bytes) == (
        REPLAYABLE,
        REPLAYABLE + 5,
        2 * REPLAYABLE + 10,
    )
    assert not trace.has_data


def test_waiting_traces_lose_their_chunks_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_WAITING", 50_000)
    stuck = Full()
    queued = Background({"stuck": stuck})
    chunks = tuple(Chunk(float(number), 1000, float(number), bytes(1000)) for number in range(20))
    for _ in range(10):
        queued(Trace(Request(), None, chunks, StreamEnd(20.0, Outcome.COMPLETE)))
    stuck.open.set()
    assert queued.flush()
    assert [len(trace.chunks) for trace in stuck.exported].count(20) <= 3  # the thread may have taken one out
    assert {trace.stats.bytes for trace in stuck.exported} == {20_000}
    assert {trace.whole for trace in stuck.exported} == {True, False}
    queued(Trace(Request(), None, chunks, StreamEnd(20.0, Outcome.COMPLETE)))
    assert queued.flush()
    assert stuck.exported[-1].whole, "there is room again"
