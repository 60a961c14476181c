"""Open streams are visible while they are open: age, bytes, silence; on log records and access lines, too."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof import Outcome, Trace, wrap
from streamproof.live import LiveStream, LiveStreams, StreamFilter, end_all, set_all_outcomes
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(load({"log": "off", "export": "all", "access_log": True}, folder=tmp_path, environ={}))


class Served:
    """A WSGI response that a test pulls block by block."""

    def __init__(self, assembly: Assembly, app: Any, path: str = "/slow?x=1") -> None:
        self.told: list[Trace] = []
        told = self.told

        def tell(trace: Trace, *, route: str | None = None) -> None:
            told.append(trace)

        assembly.dispatcher.background.use({"test": tell})
        self.environ = create_environ(path)
        self.body = assembly.wrap(app)(self.environ, lambda *head: None)
        self.blocks = iter(self.body)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body() -> Iterator[bytes]:
        for _ in range(100):
            logging.getLogger("app").warning("inside")
            yield b"12345"

    return body()


def test_an_open_stream_is_seen_and_an_ended_one_is_not(assembly: Assembly) -> None:
    live: LiveStreams = assembly.dispatcher.live
    served = Served(assembly, app)
    for _ in range(3):
        next(served.blocks)
    (stream,) = live
    assert (stream.method, stream.target, stream.status) == ("GET", "/slow?x=1", 200)
    assert (stream.chunks, stream.bytes) in ((2, 10), (3, 15))  # the third is not taken yet
    assert 0 <= stream.silence <= stream.age
    assert str(stream).startswith('GET "/slow?x=1" age=')
    assert live.ages() == [pytest.approx((stream.age, stream.silence), abs=1)]
    served.body.close()
    assert (len(live), list(live)) == (0, [])


def test_it_is_a_listener_of_its_own() -> None:
    """For a page that lists them, without the exporters."""
    live = LiveStreams()
    seen: list[LiveStream] = []

    def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"12345"
        seen.extend(live)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        seen.extend(live)
        await send({"type": "http.response.body", "body": b""})

    async def nothing(message: Any = None) -> Any:
        return {"type": "http.request"}

    body = wrap(wsgi, on_trace=live)(create_environ("/a"), lambda *head: None)
    list(body)
    body.close()
    scope = {"type": "http", "method": "GET", "path": "/a", "headers": []}
    asyncio.run(wrap(asgi, on_trace=live)(scope, nothing, nothing))
    assert [(stream.target, stream.status, stream.chunks, stream.bytes) for stream in seen] == [("/a", 200, 1, 5)] * 2
    assert len(live) == 0


def test_looking_changes_nothing(assembly: Assembly) -> None:
    served = Served(assembly, app)
    for _ in served.blocks:
        list(assembly.dispatcher.live)
    served.body.close()
    assembly.flush()
    assert (served.told[0].stats.chunks, served.told[0].stats.bytes) == (100, 500)


def test_an_abandoned_stream_does_not_stay(assembly: Assembly) -> None:
    served = Served(assembly, app)
    next(served.blocks)
    told, live = served.told, assembly.dispatcher.live
    del served
    gc.collect()
    assembly.flush()
    assert len(live) == 0
    assert [trace.outcome for trace in told] == [Outcome.ABANDONED]


def test_the_access_field_is_written_when_it_is_asked_for(assembly: Assembly) -> None:
    served = Served(assembly, app)
    field = served.environ["streamproof"]
    assert str(field).startswith("chunks=0 bytes=0 first_byte=- age=0.")
    list(served.blocks)
    assert str(field).startswith("chunks=100 bytes=500 first_byte=0.0")
    served.body.close()


def test_a_filter_puts_the_stream_on_the_apps_own_records(assembly: Assembly, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(StreamFilter())
    served = Served(assembly, app)
    next(served.blocks)
    next(served.blocks)
    served.body.close()
    logging.getLogger("app").warning("outside")
    fields = [str(record.stream) for record in caplog.records]  # type: ignore[attr-defined]
    assert fields[1].startswith("chunks=")
    assert fields[-1] == "-"


def test_a_stopping_server_tells_what_is_open_once(assembly: Assembly) -> None:
    served = Served(assembly, app)
    next(served.blocks)
    set_all_outcomes(Outcome.CUT, "gunicorn", "worker timeout 1 s")
    assert end_all(Outcome.SHUTDOWN, "gunicorn", "graceful timeout") >= 1
    assert next(served.blocks) == b"12345", "the response goes on"
    served.body.close()
    assembly.flush()
    (trace,) = served.told
    assert (trace.outcome, trace.end.by, trace.end.reason) == ("cut", "gunicorn", "worker timeout 1 s")
