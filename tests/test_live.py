"""Open streams are visible while they are open: age, bytes, silence; on log records and access lines, too."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof import Budget, Outcome, Trace, wrap
from streamproof.adapters.recording import open_recordings
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


class Lazy:
    """As Django's SimpleLazyObject: asking for its class evaluates it, and this one cannot be evaluated."""

    evaluated = 0

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        Lazy.evaluated += 1
        raise RuntimeError("there is no request in this thread")


def test_objects_of_the_app_are_left_alone_when_the_server_stops(assembly: Assembly) -> None:
    lazy = [Lazy()]
    before = Lazy.evaluated
    served = Served(assembly, app)
    next(served.blocks)
    assert end_all(Outcome.SHUTDOWN, "gunicorn", "graceful timeout") >= 1
    assembly.flush()
    assert [trace.outcome for trace in served.told] == [Outcome.SHUTDOWN]
    assert (len(lazy), Lazy.evaluated) == (1, before)
    served.body.close()


def test_one_budget_that_raises_does_not_keep_the_other_streams_from_being_recorded() -> None:
    traces: list[Trace] = []
    budget = Budget(max_silence=0)
    bodies = [wrap(app, budget=budget, on_violation="raise", on_trace=traces.append) for _ in range(3)]
    open_ones = [iter(each(create_environ("/"), lambda *head: None)) for each in bodies]
    for body in open_ones:
        next(body)
        next(body)
    assert end_all(Outcome.SHUTDOWN, "server", "the process ended") >= 3
    assert len(traces) == 3


def test_the_registry_forgets_what_ended_and_what_was_abandoned() -> None:
    before = len(open_recordings())
    wrapped = wrap(app, on_trace=lambda trace: None)
    bodies = [wrapped(create_environ("/"), lambda *head: None) for _ in range(4)]
    for body in bodies:
        next(iter(body))
    assert len(open_recordings()) == before + 4
    for body in bodies[:2]:
        body.close()
    assert len(open_recordings()) == before + 2
    del body, bodies
    gc.collect()
    assert len(open_recordings()) == before


def test_the_child_of_a_fork_has_none_of_its_parents_streams() -> None:
    traces: list[Trace] = []
    body = wrap(app, on_trace=traces.append)(create_environ("/"), lambda *head: None)
    next(iter(body))
    assert open_recordings()
    child = os.fork()
    if not child:
        status = 1
        try:
            status = len(open_recordings()) + end_all(Outcome.SHUTDOWN, "server", "the child ended")
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert end_all(Outcome.SHUTDOWN, "server", "the process ended") >= 1
    assert [trace.outcome for trace in traces] == [Outcome.SHUTDOWN]
    body.close()
