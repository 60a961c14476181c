"""What looks at open streams every few seconds."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof import ConfigurationError
from streamproof.exporters.log import LogExporter
from streamproof.exporters.periodic import Periodic
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

from ..support.live_support import eventually


class TestPeriodic:
    def looking(self) -> tuple[Periodic, threading.Event]:
        """One that has looked, and what it says that with."""
        looked = threading.Event()

        def look() -> bool:
            looked.set()
            return False

        periodic = Periodic(look, every=0.01)
        periodic.opened()
        assert looked.wait(10)
        return periodic, looked

    def test_it_looks_while_a_stream_is_open_and_once_more(self) -> None:
        looks: queue.SimpleQueue[int] = queue.SimpleQueue()
        answers = iter([True, True, False, False])

        def look() -> bool:
            looks.put(threading.get_ident())
            return next(answers)

        periodic = Periodic(look, every=0.01)
        assert looks.empty()
        periodic.opened()
        first = {looks.get(timeout=10) for _ in range(3)}
        periodic.opened()  # after the last look: only this brings another
        assert {looks.get(timeout=10)} == first, "the thread is the same"
        assert threading.get_ident() not in first

    def test_a_stream_that_begins_during_the_last_look_is_not_missed(self) -> None:
        looks: queue.SimpleQueue[None] = queue.SimpleQueue()

        def look() -> bool:
            if looks.qsize() == 0:
                periodic.opened()
            looks.put(None)
            return False

        periodic = Periodic(look, every=0.01)
        periodic.opened()
        eventually(lambda: looks.qsize() == 2, "a second look")

    def test_its_thread_ends_with_it(self) -> None:
        before = set(threading.enumerate())
        periodic, looked = self.looking()
        (thread,) = set(threading.enumerate()) - before
        del periodic
        thread.join(10)
        assert not thread.is_alive()

    def test_a_child_process_looks_with_a_thread_of_its_own(self) -> None:
        periodic, looked = self.looking()
        if (pid := os.fork()) == 0:
            looked.clear()
            periodic.opened()
            os._exit(0 if looked.wait(10) else 1)
        assert os.waitpid(pid, 0)[1] == 0

    def test_a_look_that_raises_is_a_fault_of_its_exporter_and_the_stream_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def look(exporter: LogExporter) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(LogExporter, "look", look)
        assembly = Assembly(load({"log_open": 0.01}, folder=tmp_path, environ={}))
        faults = assembly.dispatcher.background.faults

        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b"a"
            eventually(lambda: faults["log"] >= 2, "two faults")
            yield b"b"

        body = assembly.wrap(app)(create_environ(), lambda *head: None)
        assert list(body) == [b"a", b"b"]
        body.close()
        assert [record.levelname for record in caplog.records if "No space" in str(record.exc_info)] == ["ERROR"]

    def test_lines_of_a_log_that_is_off_are_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"log_open is 30 and log is off\. Expected log to be"):
            Assembly(load({"log": "off", "log_open": "30"}, folder=tmp_path, environ={}))
