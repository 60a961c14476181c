"""Faults of exporters and clocks, each injected where it would happen: the response goes on."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof import Trace, wrap
from streamproof.adapters import holds
from streamproof.exporters.background import Background
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

from ..support.exported import Full, app, trace
from ..support.live_support import eventually


def served(wrapped: Any) -> bytes:
    from werkzeug.test import Client

    response = Client(wrapped).get("/")
    try:
        return b"".join(response.response)  # type: ignore[arg-type]
    finally:
        response.close()


class Timeout(BaseException):
    """As gevent's, which is no Exception."""


#: What ends a thread, or a process, if nobody stops it.
ENDINGS: list[type[BaseException]] = [SystemExit, KeyboardInterrupt, Timeout, GeneratorExit, asyncio.CancelledError]


class TestFaults:
    """Each fault is injected where it would happen; the response goes on."""

    @pytest.mark.parametrize(
        "fault", [OSError(28, "No space left on device"), ConnectionError("collector"), MemoryError()]
    )
    def test_a_broken_exporter_does_not_reach_the_response(
        self, fault: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assembly = Assembly(load({"log": "off"}, folder=tmp_path, environ={}))
        broken = Full()
        broken.open.set()
        broken.raising = fault
        assembly.dispatcher.background.use({"broken": broken})
        wrapped = assembly.wrap(app)
        assert [served(wrapped) for _ in range(3)] == [b"onetwo"] * 3
        assembly.flush()
        assert assembly.dispatcher.background.faults == {"broken": 3}
        assert [record.levelname for record in caplog.records] == ["ERROR"]

    def test_a_trace_file_that_cannot_be_written_does_not_reach_the_response(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assembly = Assembly(load({"log": "off", "jsonl": "/dev/full"}, folder=tmp_path, environ={}))
        assert served(assembly.wrap(app)) == b"onetwo"
        assembly.flush()
        assert assembly.dispatcher.background.faults["jsonl"] == 1
        assert "The exporter jsonl raised. Responses are not affected" in caplog.text

    @pytest.mark.parametrize("times", [[5.0, 4.0, 3.0, 2.0], [float("nan")], [float("inf"), 0.0], [0.0]])
    def test_a_broken_clock_does_not_reach_the_response(
        self, times: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        readings = iter(times * 100)
        for module in ("adapters.recording", "adapters.wsgi.bodies", "wsgi", "live"):
            monkeypatch.setattr(f"streamproof.{module}.clock", lambda: next(readings))
        path = tmp_path / "t.jsonl"
        assembly = Assembly(load({"jsonl": str(path), "log": "json"}, folder=tmp_path, environ={}))
        assert served(assembly.wrap(app)) == b"onetwo"
        list(assembly.dispatcher.live)
        assembly.flush()

    def test_a_listener_that_raises_at_the_start_is_dropped_and_the_response_goes_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            def opened(self, recording: object) -> None:
                raise RuntimeError("opened")

            def __call__(self, trace: Trace) -> None:
                raise AssertionError("it was dropped")

        assert served(wrap(app, on_trace=Broken())) == b"onetwo"
        assert "was dropped. Responses are not affected" in caplog.text

    @pytest.mark.parametrize("ending", ENDINGS)
    @pytest.mark.parametrize("place", ["opened", "headed", "ended", "__call__"])
    def test_a_listener_that_raises_more_than_an_exception_is_dropped(
        self, place: str, ending: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*given: object) -> None:
            raise ending

        watches = {name: lambda self, *given: None for name in ("opened", "headed", "ended", "__call__")}
        if place == "__call__":
            watches = {}
        listener = type("Listener", (), {**watches, place: fails})()
        after: list[Trace] = []
        wrapped = wrap(app, on_trace=[listener, after.append])
        assert [served(wrapped) for _ in range(2)] == [b"onetwo"] * 2
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "was dropped. Responses are not affected" in caplog.text
        assert len(after) == 2

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_the_thread_outlives_what_an_exporter_raises(self, ending: type[BaseException]) -> None:
        broken, fine = Full(), Full()
        broken.open.set()
        fine.open.set()
        broken.raising = ending()
        background = Background({"broken": broken, "fine": fine})

        def route() -> str:
            raise ending

        for _ in range(2):
            background(trace(), route=route)
            assert background.flush(), "the thread has ended"
        assert (background.faults, len(fine.exported)) == ({"broken": 2, "route": 2}, 2)

    @pytest.mark.parametrize("ending", ENDINGS)
    @pytest.mark.parametrize("place", ["opened", "ended", "held", "count_trace", "look", "flush"])
    def test_no_part_of_an_exporter_reaches_a_response(
        self, place: str, ending: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One whose part raises is counted; the others go on, and so does the list of open streams."""

        def fails(*given: object, **options: object) -> None:
            raise ending

        def fine(*given: object, **options: object) -> None:
            pass

        parts = {"__call__": fine, "opened": fine, "ended": fine, "held": fine, "flush": fine, "count_trace": fine}
        broken = type("Broken", (), {**parts, "look": fine, "look_every": 0.01, place: fails})()
        seen = Full()
        seen.open.set()
        made = {"broken": broken, "seen": seen}
        monkeypatch.setattr("streamproof.settings.assembly._exporters", lambda *given: made)
        # with a tap in the process the driver would put in a Watch of its own
        monkeypatch.setattr(holds, "made", False)
        assembly = Assembly(load({"log": "off", "policy": "sse"}, folder=tmp_path, environ={}))
        held = holds.Watch("count", 5)
        held._longest = 1.0
        faults = assembly.dispatcher.background.faults
        wrapped = assembly.wrap(app)
        for number in (1, 2):
            body = wrapped(create_environ(environ_overrides={holds.KEY: held}), lambda *head: fine)
            assert b"".join(body) == b"onetwo"
            if place == "look":
                eventually(lambda: faults["broken"] >= number, "a look")  # noqa: B023
            body.close()
        assembly.flush()
        assert faults["broken"] >= (1 if place == "flush" else 2)
        assert len(seen.exported) == 2
        assert len(assembly.dispatcher.live) == 0

    def test_a_log_handler_that_raises_reaches_neither_thread_nor_response(self) -> None:
        class Broken(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise SystemExit("a handler")

        logger, handler, broken = logging.getLogger("streamproof"), Broken(), Full()
        broken.open.set()
        broken.raising = OSError()
        logger.addHandler(handler)
        try:
            background = Background({"broken": broken}, limit=1)
            background(trace())
            assert background.flush()
            broken.open.clear()
            for _ in range(5):
                background(trace())
            assert background.dropped >= 3
            broken.open.set()
            assert background.flush()

            def listener(trace: Trace) -> None:
                raise OSError

            assert served(wrap(app, on_trace=listener)) == b"onetwo"
        finally:
            logger.removeHandler(handler)

    def test_a_thread_that_cannot_start_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = Full()
        seen.open.set()
        background = Background({"seen": seen})
        with monkeypatch.context() as broken:

            def start(thread: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            broken.setattr(threading.Thread, "start", start)
            background(trace())
        background(trace())
        assert background.flush()
        assert (background.dropped, background.faults["thread"], len(seen.exported)) == (1, 1, 1)

    def test_a_stream_that_is_open_when_the_process_ends_does_not_hold_it(self, tmp_path: Path) -> None:
        code = """
from werkzeug.test import create_environ
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

def app(environ, start_response):
    start_response("200 OK", [])
    while True:
        yield b"a"

body = iter(Assembly(load({"log": "text"}, environ={})).wrap(app)(create_environ(), lambda *head: None))
next(body)
"""
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=30, check=True)
