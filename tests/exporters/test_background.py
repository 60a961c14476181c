"""The thread that exports: an exporter that hangs or raises holds nobody."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamproof import Outcome, Trace
from streamproof.exporters.background import Background
from streamproof.exporters.jsonl import JsonLines, read
from streamproof.sansio.trace import Request, StreamEnd

from ..support.exported import CHUNKS, Full, trace


class TestBackground:
    def test_an_exporter_that_hangs_holds_nobody_and_what_does_not_fit_is_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        stuck = Full()
        background = Background({"stuck": stuck}, limit=3)
        for _ in range(10):
            background(trace())
        assert 6 <= background.dropped <= 7  # the thread may have taken one out
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "Is stuck stuck?" in caplog.text
        stuck.open.set()
        assert background.flush()
        assert len(stuck.exported) == 10 - background.dropped

    def test_traces_are_exported_together_in_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For as long as nobody asks and the queue has room, the thread sleeps."""
        asleep: queue.SimpleQueue[float | None] = queue.SimpleQueue()

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                asleep.put(timeout)
                return super().wait(timeout)

        monkeypatch.setattr("streamproof.exporters.background.BATCH", 600.0)
        monkeypatch.setattr(
            "streamproof.exporters.background.threading", SimpleNamespace(**{**vars(threading), "Event": Event})
        )
        seen, together = Full(), threading.Event()
        seen.open.set()

        def last(trace: Trace, *, route: str | None = None) -> None:
            together.set()

        background = Background({"seen": seen, "last": last}, limit=12)
        for number in range(3):
            background(trace(target=f"/{number}"))
        assert asleep.get(timeout=10) == 600.0
        assert not together.is_set()
        for number in range(3, 5):  # a quarter of the limit waits already; the thread may have one in hand
            background(trace(target=f"/{number}"))
        assert together.wait(10) and background.flush()
        background(trace(target="/5"))
        assert background.flush(), "whoever asks is not kept waiting"
        assert [each.request.target for each in seen.exported] == [f"/{number}" for number in range(6)]

    def test_without_exporters_there_is_no_thread(self) -> None:
        before = threading.active_count()
        background = Background({})
        background(trace())
        assert background.flush() and threading.active_count() == before

    def test_an_exporter_that_raises_is_logged_once_counted_and_tried_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken, fine = Full(), Full()
        broken.open.set()
        fine.open.set()
        broken.raising = ConnectionRefusedError("collector")
        background = Background({"broken": broken, "fine": fine})
        for _ in range(3):
            background(trace())
        assert background.flush()
        broken.raising = None
        background(trace())
        assert background.flush()
        assert (background.faults["broken"], len(broken.exported), len(fine.exported)) == (3, 1, 4)
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
        assert "works again, after 3 faults" in caplog.text

    def test_buffered_responses_are_left_out_when_only_streams_are_exported(self) -> None:
        seen = Full()
        seen.open.set()
        background = Background({"seen": seen}, streams_only=True)
        one = Trace(Request(), None, CHUNKS[:1], StreamEnd(1.0, Outcome.COMPLETE))
        gone = Trace(Request(), None, CHUNKS[:1], StreamEnd(1.0, Outcome.CLIENT_GONE))
        for each in (one, gone, trace()):
            background(each)
        assert background.flush()
        assert seen.exported == [gone, trace()]

    def test_a_child_process_tells_with_a_thread_of_its_own(self, tmp_path: Path) -> None:
        background = Background({"file": JsonLines(tmp_path / "t.jsonl")})
        background(trace(target="/parent"))
        assert background.flush()
        if (pid := os.fork()) == 0:
            background(trace(target="/child"))
            os._exit(0 if background.flush() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert [each.request.target for each in read(tmp_path / "t.jsonl")] == ["/parent", "/child"]
