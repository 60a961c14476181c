"""Exporters: what they say, what a stranger cannot make them say, and that none can hurt a response."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from werkzeug.test import create_environ

from streamproof import Chunk, ConfigurationError, Outcome, Trace, TraceError, wrap
from streamproof.cli import main
from streamproof.exporters.background import Background
from streamproof.exporters.escape import LabelLimit, plain
from streamproof.exporters.jsonl import JsonLines, read
from streamproof.exporters.log import LogExporter, line
from streamproof.exporters.periodic import Periodic
from streamproof.live import LiveStream
from streamproof.sansio.trace import Request, Response, StreamEnd
from streamproof.settings.assembly import Assembly
from streamproof.settings.loading import load

from ..support.live_support import eventually, need

CHUNKS = (Chunk(0.25, 10, 0.5, b"0123456789"), Chunk(1.0, 5, 1.0, b"01234"), Chunk(3.0, 1, 3.25, b"0"))


def trace(outcome: Outcome = Outcome.COMPLETE, target: str = "/s", **end: Any) -> Trace:
    head = Response(200, (("Content-Type", "text/plain"),), 0.125)
    return Trace(Request("GET", target), head, CHUNKS, StreamEnd(4.0, outcome, **end))


class TestLog:
    def test_one_line_says_it_all(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "streamproof.stream"):
            LogExporter()(trace(), route="/s/<n>")
            LogExporter("json")(trace(Outcome.CUT, by="gunicorn", reason="worker timeout 1 s"))
        first, second = caplog.records
        assert first.getMessage() == (
            "outcome=complete method=GET target=/s route=/s/<n> status=200 chunks=3 bytes=16 head=0.125 "
            "first_byte=0.25 duration=4 longest_gap=2 longest_silence=2 backpressure=0.5"
        )
        assert (first.levelname, second.levelname) == ("INFO", "WARNING")
        assert first.stream["chunks"] == 3  # type: ignore[attr-defined]
        told = json.loads(second.getMessage())
        assert (told["event"], told["outcome"], told["by"]) == ("stream", "cut", "gunicorn")

    @pytest.mark.parametrize(
        "evil",
        ["/a\r\n2026 ERROR forged", "/a\x1b[2Jb", "/a b outcome=complete", '/"', "/\u2028x", "/" + "a" * 9999, "/\x7f"],
    )
    @pytest.mark.parametrize("form", ["text", "json"])
    def test_a_stranger_cannot_forge_a_line(self, form: Any, evil: str, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "streamproof.stream"):
            LogExporter(form)(trace(target=evil))
        text = caplog.records[0].getMessage()
        assert text.isascii()
        assert text.isprintable()
        if form == "text":
            assert len(text) < 1000
            assert text.count(" outcome=") == (' outcome=complete"' in text)

    def test_plain_values_stay_plain(self) -> None:
        assert [plain(value) for value in ("/a/b?c", 0.5, 12, "two words", "a=b")] == [
            "/a/b?c",
            "0.5",
            "12",
            '"two words"',
            '"a=b"',
        ]

    def test_what_is_not_there_is_left_out(self) -> None:
        empty = Trace(Request(), None, (), StreamEnd(0.5, Outcome.APP_ERROR))
        assert "status" not in line(empty)
        assert "first_byte" not in line(empty)


class TestJsonLines:
    def test_what_is_written_is_read_again_without_bodies(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        JsonLines(path)(trace())
        JsonLines(path, bodies=True)(trace())
        bare, full = read(path)
        assert [chunk.size for chunk in bare.chunks] == [10, 5, 1]
        assert not bare.has_data
        assert full == trace()
        assert path.stat().st_mode & 0o777 == 0o600

    def test_it_rotates_before_it_grows_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        size = len(trace().to_json()) + 1
        write = JsonLines(path, max_bytes=2 * size, backups=2, bodies=True)
        for number in range(9):
            write(trace(target=f"/{number}"))
        kept = [
            [each.request.target for each in read(tmp_path / name)] for name in ("t.jsonl", "t.jsonl.1", "t.jsonl.2")
        ]
        assert kept == [["/8"], ["/6", "/7"], ["/4", "/5"]]
        assert not (tmp_path / "t.jsonl.3").exists()

    def test_processes_share_a_file_and_lose_nothing(self, tmp_path: Path) -> None:
        path, size = tmp_path / "t.jsonl", len(trace().to_json()) + 40
        children = []
        for worker in range(4):
            if (pid := os.fork()) == 0:
                write = JsonLines(path, max_bytes=10 * size, backups=30, bodies=True)
                for number in range(40):
                    write(trace(target=f"/{worker}-{number}"))
                os._exit(0)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        files = [each for each in tmp_path.iterdir() if "lock" not in each.name]
        found = sorted(told.request.target for each in files for told in read(each))
        assert found == sorted(f"/{worker}-{number}" for worker in range(4) for number in range(40))

    def test_clean_traces_are_sampled_and_others_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        chances = iter((0.05, 0.5, 0.2))
        write = JsonLines(path, sample=0.1, chance=lambda: next(chances))
        for outcome in (Outcome.COMPLETE, Outcome.COMPLETE, Outcome.CUT, Outcome.CLIENT_GONE, Outcome.COMPLETE):
            write(trace(outcome))
        assert [told.outcome for told in read(path)] == ["complete", "cut", "client_gone"]

    def test_a_full_disk_is_an_error_and_leaves_no_half_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "t.jsonl"
        JsonLines(path)(trace())
        whole, real = path.read_bytes(), os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
        with pytest.raises(OSError, match="Is the disk full"):
            JsonLines(path)(trace())
        monkeypatch.undo()
        assert path.read_bytes() == whole

    def test_a_spoiled_line_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        path.write_text(trace().to_json() + "\n{\n")
        with pytest.raises(TraceError, match=r"t\.jsonl, line 2: "):
            list(read(path))

    def test_replay_reads_a_line_of_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "t.jsonl"
        write = JsonLines(path)
        write(trace(target="/first"))
        assert main(["replay", str(path), "--json"]) in (0, 1)
        write(trace(target="/second"))
        assert main(["replay", f"{path}:2", "--via", "passthrough", "--json"]) in (0, 1)
        assert main(["replay", str(path)]) == 2
        assert "t.jsonl:1 for the first" in capsys.readouterr().err
        assert main(["replay", f"{path}:3"]) == 2
        assert "Expected 1 to 2" in capsys.readouterr().err


class Full:
    """A listener that a test opens and closes."""

    def __init__(self) -> None:
        self.told: list[Trace] = []
        self.open = threading.Event()
        self.raising: Exception | None = None

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        self.open.wait(10)
        if self.raising is not None:
            raise self.raising
        self.told.append(trace)


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
        assert len(stuck.told) == 10 - background.dropped

    def test_traces_are_told_together_in_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert [told.request.target for told in seen.told] == [f"/{number}" for number in range(6)]

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
        assert (background.faults["broken"], len(broken.told), len(fine.told)) == (3, 1, 4)
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
        assert "works again, after 3 faults" in caplog.text

    def test_buffered_responses_are_left_out_when_only_streams_are_told(self) -> None:
        seen = Full()
        seen.open.set()
        background = Background({"seen": seen}, streams_only=True)
        one = Trace(Request(), None, CHUNKS[:1], StreamEnd(1.0, Outcome.COMPLETE))
        gone = Trace(Request(), None, CHUNKS[:1], StreamEnd(1.0, Outcome.CLIENT_GONE))
        for told in (one, gone, trace()):
            background(told)
        assert background.flush()
        assert seen.told == [gone, trace()]

    def test_a_child_process_tells_with_a_thread_of_its_own(self, tmp_path: Path) -> None:
        background = Background({"file": JsonLines(tmp_path / "t.jsonl")})
        background(trace(target="/parent"))
        assert background.flush()
        if (pid := os.fork()) == 0:
            background(trace(target="/child"))
            os._exit(0 if background.flush() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert [told.request.target for told in read(tmp_path / "t.jsonl")] == ["/parent", "/child"]


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    return body()


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


def test_labels_stay_few() -> None:
    few = LabelLimit(2)
    assert [few(label) for label in ("/a", "/b", "/c", None, "/a", "/d")] == [
        "/a",
        "/b",
        "(other)",
        "(unknown)",
        "/a",
        "(other)",
    ]


class TestOpenStreams:
    def lines(self, caplog: pytest.LogCaptureFixture, *streams: LiveStream, form: Literal["text", "json"]) -> list[str]:
        caplog.set_level(logging.INFO, "streamproof.stream")
        LogExporter(form, open_every=5.0, open_streams=streams).look()
        return [record.getMessage() for record in caplog.records]

    def test_one_that_is_old_enough_gets_a_line(self, caplog: pytest.LogCaptureFixture) -> None:
        old = LiveStream("GET", "/a b", 200, 61.5, 3, 90, 58.25)
        young = LiveStream("GET", "/young", 200, 4.9, 3, 90, 1.0)
        (told,) = self.lines(caplog, old, young, form="text")
        assert told == 'outcome=open method=GET target="/a b" status=200 chunks=3 bytes=90 age=61.5 silence=58.25'
        assert caplog.records[0].__dict__["stream"]["silence"] == 58.25

    def test_json_and_no_head_yet(self, caplog: pytest.LogCaptureFixture) -> None:
        (told,) = self.lines(caplog, LiveStream("G\nET", "/\n", None, 5.0, 0, 0, 5.0), form="json")
        expected = {"event": "stream", "outcome": "open", "method": "_OTHER", "target": "/\n", "chunks": 0, "bytes": 0}
        assert json.loads(told) == {**expected, "age": 5.0, "silence": 5.0}
        assert "\n" not in told

    def test_a_thousand_are_not_a_thousand_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        told = self.lines(caplog, *[LiveStream("GET", "/", 200, 9.0, 1, 1, 1.0)] * 1000, form="text")
        assert len(told) == 101
        assert told[-1] == "outcome=open and_more=900"

    def test_nobody_who_listens_costs_nothing(self) -> None:
        logger = logging.Logger("quiet", logging.WARNING)
        logger.addHandler(handler := logging.handlers.MemoryHandler(10))
        LogExporter(logger=logger, open_every=1.0, open_streams=[LiveStream("GET", "/", 200, 9.0, 1, 1, 1.0)]).look()
        assert handler.buffer == []


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


class TestPrometheus:
    def counted(self, *traces: Trace, route: str | None = "/s") -> dict[str, float]:
        need("prometheus_client")
        from prometheus_client import CollectorRegistry

        from streamproof.exporters.prometheus import Prometheus

        registry = CollectorRegistry()
        exporter = Prometheus(registry, open_streams=lambda: [(3.0, 1.0), (2.0, 1.5)], faults=lambda: {"log": 2})
        exporter.opened()
        for told in traces:
            exporter(told, route=route)
        samples = {}
        for family in registry.collect():
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                samples[f"{sample.name.removeprefix('streamproof_')}{{{labels}}}"] = sample.value
        return samples

    def test_every_figure_has_its_metric(self) -> None:
        told = self.counted(trace(), trace(Outcome.CUT))
        assert told["streams_total{method=GET,outcome=complete,route=/s,status=2xx}"] == 1
        assert told["streams_total{method=GET,outcome=cut,route=/s,status=2xx}"] == 1
        assert told["chunks_total{route=/s}"] == 6
        assert told["first_byte_seconds_sum{route=/s}"] == 0.5
        assert told["gap_seconds_count{route=/s}"] == 4
        assert told["gap_seconds_sum{route=/s}"] == 5.5
        assert told["gap_seconds_bucket{le=1.0,route=/s}"] == 2
        assert told["gap_seconds_bucket{le=2.5,route=/s}"] == 4
        assert told["longest_silence_seconds_sum{route=/s}"] == 4
        assert told["backpressure_seconds_sum{route=/s}"] == 1
        assert told["duration_seconds_sum{route=/s}"] == 8
        assert told["size_bytes_sum{route=/s}"] == 32
        assert told["open_streams{}"] == 1
        assert told["oldest_open_seconds{}"] == 3.0
        assert told["open_silence_seconds{}"] == 1.5
        assert told["exporter_faults{exporter=log}"] == 2

    def test_a_stranger_cannot_make_labels(self) -> None:
        evil = Trace(Request('G\n"ET', "/x"), None, (), StreamEnd(0.0, Outcome.COMPLETE))
        told = self.counted(evil, route=None)
        assert told["streams_total{method=_OTHER,outcome=complete,route=(unknown),status=none}"] == 1

    def test_a_second_exporter_counts_into_the_same_metrics(self) -> None:
        need("prometheus_client")
        from prometheus_client import CollectorRegistry

        from streamproof.exporters.prometheus import Prometheus

        registry = CollectorRegistry()
        Prometheus(registry)(trace())
        Prometheus(registry)(trace())
        assert registry.get_sample_value("streamproof_chunks_total", {"route": "(unknown)"}) == 6


class TestOpenTelemetry:
    def told(self, *traces: Trace, route: str | None = "/s/{n}") -> tuple[list[Any], dict[str, Any]]:
        need("opentelemetry")
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from streamproof.exporters.opentelemetry import OpenTelemetry

        spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        exporter = OpenTelemetry(
            tracer_provider=tracers, meter_provider=MeterProvider([reader], shutdown_on_exit=False)
        )
        exporter.opened()
        for each in traces:
            exporter(each, route=route)
        data = reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return list(spans.get_finished_spans()), {metric.name: metric.data.data_points[0] for metric in metrics}

    def test_one_span_a_stream_carries_the_figures(self) -> None:
        spans, metrics = self.told(trace(target="/s/1?token=secret"))
        (span,) = spans
        assert span.name == "GET /s/{n} stream"
        assert span.end_time - span.start_time == 4_000_000_000
        assert dict(span.attributes) == {
            "http.request.method": "GET",
            "http.route": "/s/{n}",
            "http.response.status_code": 200,
            "url.path": "/s/1",
            "network.protocol.version": "1.1",
            "http.response.body.size": 16,
            "streamproof.outcome": "complete",
            "streamproof.chunks": 3,
            "streamproof.longest_gap": 2.0,
            "streamproof.longest_silence": 2.0,
            "streamproof.backpressure": 0.5,
            "streamproof.time_to_first_chunk": 0.25,
            "streamproof.time_per_output_chunk": 1.375,
        }
        assert span.events == ()
        assert metrics["http.server.response.time_to_first_chunk"].sum == 0.25
        assert metrics["http.server.response.time_per_output_chunk"].sum == 1.375
        assert metrics["http.server.request.duration"].sum == 4.0
        assert metrics["http.server.response.body.size"].sum == 16
        assert metrics["http.server.active_requests"].value == 1

    def test_a_bad_end_is_an_error_with_its_reason(self) -> None:
        (span,), _ = self.told(trace(Outcome.CUT, by="gunicorn", reason="worker timeout 1 s"))
        assert (span.status.status_code.name, span.status.description) == ("ERROR", "worker timeout 1 s")
        assert span.attributes["error.type"] == "cut"

    def test_the_readers_own_trace_goes_on(self) -> None:
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        asked = Request("GET", "/s", headers=(("Traceparent", parent),))
        (span,), _ = self.told(Trace(asked, None, CHUNKS, StreamEnd(4.0, Outcome.COMPLETE)))
        assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
        assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
