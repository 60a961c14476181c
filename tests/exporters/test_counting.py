"""Counting: metrics are exact whatever the queue and the other exporters do."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from streamproof.exporters.background import Background
from streamproof.exporters.counting import Counting
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

from ..support.exported import Full, app, trace
from ..support.live_support import need


class Counts:
    """An exporter that counts, and may do it slowly."""

    def __init__(self) -> None:
        self.routes: list[str | None] = []
        self.exported = 0

    def __call__(self, trace: Any, *, route: str | None = None) -> None:
        raise AssertionError("it has count_trace")

    def count_trace(self, trace: Any, *, route: str | None = None) -> None:
        self.routes.append(route)

    def export_trace(self, trace: Any, *, route: str | None = None) -> None:
        self.exported += 1


def test_a_burst_that_overflows_the_queue_is_counted_whole(caplog: pytest.LogCaptureFixture) -> None:
    stuck, counts = Full(), Counts()
    background = Background({"stuck": stuck, "counts": counts}, limit=10)

    def burst() -> None:
        for _ in range(500):
            background(trace(), route=lambda: "/s")

    threads = [threading.Thread(target=burst) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.routes == ["/s"] * 2000
    stuck.open.set()
    assert background.flush()
    assert background.dropped >= 1000
    assert len(stuck.exported) == counts.exported == 2000 - background.dropped


def test_the_lines_say_how_many_were_dropped(caplog: pytest.LogCaptureFixture) -> None:
    stuck = Full()
    background = Background({"stuck": stuck}, limit=3)
    for _ in range(150):
        background(trace())
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"3 traces wait for the exporters, so others are dropped: {count} so far. Is stuck stuck?"
        for count in (1, 10, 100)
    ]
    stuck.open.set()
    caplog.clear()
    assert background.flush()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"The exporters' queue has room again. {background.dropped} traces were dropped.")
    ]


def test_prometheus_and_opentelemetry_count_every_stream_of_a_burst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("prometheus_client")
    from prometheus_client import REGISTRY

    def total() -> float:
        labels = {"method": "GET", "route": "(unknown)", "status": "2xx", "outcome": "complete"}
        return REGISTRY.get_sample_value("streamproof_streams_total", labels) or 0.0

    stuck = Full()
    assembly = Assembly(load({"log": "off", "prometheus": True, "queue": 2}, folder=tmp_path, environ={}))
    exporters = {**assembly.dispatcher.background._exporters, "stuck": stuck}
    assembly.dispatcher.background.use(exporters)
    before, wrapped = total(), assembly.wrap(app)
    for _ in range(100):
        body = wrapped(create_environ(), lambda *head: None)
        list(body)
        body.close()
    dropped = assembly.dispatcher.background.dropped
    assert total() - before == 100
    assert dropped > 90
    assert REGISTRY.get_sample_value("streamproof_dropped_traces") == dropped
    stuck.open.set()
    assembly.flush()


def test_who_comes_while_somebody_counts_does_not_wait() -> None:
    counting, go_on, inside, seen = Counting(), threading.Event(), threading.Event(), []

    def slow() -> None:
        inside.set()
        assert go_on.wait(10)
        seen.append("slow")

    counting.add(slow)
    thread = threading.Thread(target=counting.run)
    thread.start()
    assert inside.wait(10)
    counting.add(lambda: seen.append("left"))
    counting.run()
    assert seen == []
    go_on.set()
    thread.join()
    assert seen == ["slow", "left"]


def test_what_is_added_while_counting_is_counted_by_the_same_call() -> None:
    counting, seen = Counting(), []

    def add_another() -> None:
        counting.add(lambda: seen.append("second"))
        counting.run()
        seen.append("first")

    counting.add(add_another)
    counting.run()
    assert seen == ["first", "second"]


def test_a_collected_stream_is_not_counted_inside_of_the_collection(tmp_path: Path) -> None:
    """The collector may run in the middle of an exporter, whose locks are not reentrant."""
    threads: list[int] = []

    class Gauge(Counts):
        def opened(self) -> None:
            pass

        def ended(self) -> None:
            threads.append(threading.get_ident())

        def count_trace(self, trace: Any, *, route: str | None = None) -> None:
            threads.append(threading.get_ident())

    def endless(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"a"

    assembly = Assembly(load({"log": "off"}, folder=tmp_path, environ={}))
    dispatcher = assembly.dispatcher
    gauge = Gauge()
    dispatcher.background.use({"gauge": gauge})
    dispatcher._gauges["gauge"] = gauge
    body = iter(assembly.wrap(endless)(create_environ(), lambda *head: None))
    assert [next(body), next(body)] == [b"a", b"a"]
    with dispatcher.background.counting._counts:  # nobody else counts now
        del body
        gc.collect()
    assert dispatcher.background.flush()
    assert len(threads) == 2
