"""Untrusted text: no control character, line separator, escape sequence or endless text leaves in a line or a label.

Runs a few hundred cases. ``FUZZ_EXAMPLES=100000`` runs that many.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import create_environ

from streamproof import Budget, Outcome, Trace, wrap
from streamproof.exporters.escape import LabelLimit
from streamproof.exporters.jsonl import JsonLines, read
from streamproof.exporters.log import LogExporter
from streamproof.live import LiveStream
from streamproof.sansio.flush import FlushPolicy
from streamproof.sansio.trace import Request, Response, StreamEnd
from streamproof.sansio.untrusted import LONGEST, plain, printable, short

from ..support.exported import CHUNKS
from ..support.live_support import need

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
#: The most characters that one value of LONGEST characters becomes: two escapes of six for one character, and the rest.
MOST = 12 * LONGEST + 10

#: What was found to leave as it is, or could be taken for harmless.
CORPUS = [
    "/a\r\n2026 ERROR forged",
    "/\x1b[2J\x1b]0;title\x07",
    "/\x85next line",
    "/\u2028\u2029",
    "/\x7f\x9b31m",
    "/\u202egnp.exe",
    "/" + "a" * 100_000,
    "/" + "\x00" * 100_000,
    "/\ud800",
    '/" outcome=complete',
    "/\U0001f600" * 300,
]

anything = st.one_of(
    st.text(st.characters(), max_size=400),
    st.text(st.characters(max_codepoint=255), max_size=400),
    st.text(st.sampled_from('/a "\\\r\n\t\x00\x1b\x7f\x85\x9b\u2028\u2029\u202e\ufeff\U0001f600'), max_size=400),
)

fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=False
)


def with_corpus(test: Any) -> Any:
    for text in CORPUS:
        test = example(text)(test)
    return fuzzed(given(anything)(test))


def harmless(line: str, values: int = 1) -> bool:
    """Is it one line of printable ASCII, with ``values`` untrusted values at most?"""
    return line.isascii() and line.isprintable() and len(line) <= values * MOST + 400


def trace_of(text: str) -> Trace:
    fields = (("X-Text", text), ("Cookie", "s3cr3t"), ("authorization", f"Bearer s3cr3t{text}"))
    request = Request(text, text, "1.1", fields)
    response = Response(200, (("Set-Cookie", "s3cr3t"), ("X-Text", text)), 0.125)
    return Trace(request, response, CHUNKS, StreamEnd(4.0, Outcome.CUT, by=text, reason=text))


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def logged() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("streamproof"), Lines()
    logger.addHandler(handler)
    before, logger.level = logger.level, logging.INFO
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(before)


@with_corpus
def test_the_functions(text: str) -> None:
    for written in (plain(text), printable(text)):
        assert harmless(written)
    assert " " not in plain(text) or plain(text).startswith('"')
    assert len(short(text)) <= LONGEST + 3
    if len(text) <= LONGEST:
        assert json.loads(f'"{printable(text)}"') == text or printable(text) == text


@with_corpus
def test_log_lines(text: str) -> None:
    logger, handler = logging.Logger("a"), Lines()
    logger.addHandler(handler)
    stream = LiveStream(text, text, 200, 9.0, 1, 1, 1.0)
    for form in ("text", "json"):
        exporter = LogExporter(form, logger=logger, open_every=1.0, open_streams=[stream])
        exporter(trace_of(text), route=text)
        exporter.look()
    handler.lines.append(str(stream))
    assert len(handler.lines) == 5
    assert [line for line in handler.lines if not harmless(line, 5)] == []


def streaming(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield b"data: a\n\n"
    yield b"data: b\n\n"


@with_corpus
def test_a_budget_line(logged: list[str], text: str) -> None:
    logged.clear()
    environ = create_environ(environ_overrides={"REQUEST_METHOD": text, "REQUEST_URI": text})
    body = wrap(streaming, budget=Budget(first_byte=0.0))(environ, lambda *head: None)
    list(body)
    body.close()
    assert len(logged) == 1
    assert "SP101" in logged[0]
    assert harmless(logged[0], 2)


@pytest.mark.parametrize("text", CORPUS)
def test_the_warning_of_a_stuck_app_and_its_thread(text: str, logged: list[str]) -> None:
    go_on = threading.Event()

    def stuck(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: a\n\n"
        go_on.wait(10)

    environ = create_environ(environ_overrides={"REQUEST_METHOD": "GET", "REQUEST_URI": text})
    body = wrap(stuck, policy=FlushPolicy(heartbeat=0.01))(environ, lambda *head: None)
    try:
        blocks = iter(body)
        assert next(blocks) == b"data: a\n\n"
        assert next(block for block in blocks if block) == b":\n\n"
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("streamproof-pump")]
        body.close()
    finally:
        go_on.set()
    assert names
    assert any("was closed while its app is still at work" in line for line in logged)
    assert [line for line in (*names, *logged) if not harmless(line)] == []


@with_corpus
def test_trace_files(tmp_path: Path, text: str) -> None:
    """A file for programs: it has the whole text, escaped, and no credentials."""
    path = tmp_path / f"{time.monotonic_ns()}.jsonl"
    JsonLines(path)(trace_of(text))
    written = path.read_bytes()
    assert written.endswith(b"\n") and written.count(b"\n") == 1
    assert written[:-1].decode("ascii").isprintable()
    assert b"s3cr3t" not in written
    (found,) = read(path)
    assert found.request.target == text
    path.unlink()


@with_corpus
def test_labels(text: str) -> None:
    assert harmless(LabelLimit(5)(text))


@with_corpus
def test_opentelemetry(text: str) -> None:
    need("opentelemetry")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from streamproof.exporters.opentelemetry import OpenTelemetry

    spans = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    trace = trace_of(text)
    exporter = OpenTelemetry(tracer_provider=tracers, meter_provider=MeterProvider((), shutdown_on_exit=False))
    exporter(trace, route=text)
    (span,) = spans.get_finished_spans()
    assert span.attributes
    values = [str(value) for value in span.attributes.values()]
    assert [value for value in (span.name, span.status.description or "", *values) if not harmless(value)] == []


@with_corpus
def test_prometheus(text: str) -> None:
    need("prometheus_client")
    from prometheus_client import CollectorRegistry, generate_latest

    from streamproof.exporters.prometheus import Prometheus

    registry = CollectorRegistry()
    Prometheus(registry)(trace_of(text), route=text)
    for line in generate_latest(registry).decode().splitlines():
        assert harmless(line, 2)
