"""Faults of exporters and clocks, each injected where it would happen: the response goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamproof import Trace, wrap
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

from ..support.exported import Full, app


def served(wrapped: Any) -> bytes:
    from werkzeug.test import Client

    response = Client(wrapped).get("/")
    try:
        return b"".join(response.response)  # type: ignore[arg-type]
    finally:
        response.close()


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
