"""The zoo under a policy: what can be cured streams, and the rest is named by a finding."""

from __future__ import annotations

import gc
import threading
import warnings
import zlib
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from asgiref.wsgi import WsgiToAsgi

from demo_apps.zoo import ZOO
from streamproof import Budget, Trace, examine, wrap
from streamproof.adapters.holds import HeldInside
from streamproof.adapters.taps import tap
from streamproof.sansio.findings import Finding
from streamproof.sansio.flush import FlushPolicy
from tests.support.demo_support import PAUSES_OF_THE_APPS, Reader, load, need, replace_pauses
from tests.support.paused_server import PausedServer

EXHIBITS = {exhibit.name: exhibit for exhibit in ZOO}
CHUNKS = [b"Data chunk %d\n" % number for number in range(10)]
GROWING = [b"".join(CHUNKS[: count + 1]) for count in range(len(CHUNKS))]
COMPRESSORS = ["starlette_compress", "flask_compress", "django_gzip"]


def read(name: str, reader: Reader, **options: Any) -> Reader:
    exhibit = EXHIBITS[name]
    need(*filter(None, [exhibit.package]))
    app = wrap(load(exhibit.target), **options)
    if exhibit.kind == "wsgi":
        return reader.read_wsgi(app, exhibit.path, headers=exhibit.headers)
    return reader.read_asgi(app, exhibit.path, headers=exhibit.headers)


def decoded(coding: str, body: bytes) -> bytes:
    """What can be read of the beginning of an encoded body."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress(body)
    import brotli  # type: ignore[import-untyped, unused-ignore]

    return bytes(brotli.Decompressor().process(body))


@pytest.mark.parametrize("hides", [True, False], ids=["in its place", "beside it"])
@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compressor_that_holds_is_replaced_by_one_that_flushes(
    monkeypatch: pytest.MonkeyPatch, name: str, hides: bool
) -> None:
    reader = Reader()
    replace_pauses(monkeypatch, reader.pause)
    coding = dict(EXHIBITS[name].headers)["Accept-Encoding"]
    read(name, reader, policy=FlushPolicy(compress=(coding,), hide_encodings=hides))
    assert reader.headers["content-encoding"] == coding
    assert decoded(coding, reader.body) == b"".join(CHUNKS)
    seen = [decoded(coding, held) for held in reader.held_at_pause]
    assert (seen == GROWING) is hides


@pytest.mark.parametrize("name", ["werkzeug_profiler", "django_blocking_iterator", "flask_compress"])
def test_what_cannot_be_cured_is_named_by_a_finding(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in PAUSES_OF_THE_APPS.items():
        monkeypatch.setenv(variable, value)
    codes: list[str] = []

    def note(finding: Finding, trace: Trace) -> None:
        codes.append(finding.code)

    options: dict[str, Any] = {"budget": Budget(min_bursts=5), "on_violation": note, "keep_chunks": True}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
        read(name, Reader(), **options)
    assert codes == ["SP105"]
    Reader().read_wsgi(wrap(load("demo_apps.raw_wsgi:app"), **options), "/stream")
    assert codes == ["SP105"], "the same stream without the layer is no finding"


@pytest.mark.parametrize("bridged", [True, False])
def test_a_bridge_that_never_closes_is_named(monkeypatch: pytest.MonkeyPatch, bridged: bool) -> None:
    bridge: Any = WsgiToAsgi
    replace_pauses(monkeypatch, lambda: None)
    traces: list[Trace] = []
    inner = wrap(load("demo_apps.zoo.bridge_never_closes:wsgi_app"), on_trace=traces.append)
    if bridged:
        Reader().read_asgi(bridge(inner), "/stream")
    else:
        Reader().read_wsgi(inner, "/stream")
    gc.collect()
    (trace,) = traces
    assert [finding.code for finding in examine(trace)] == (["SP205"] if bridged else [])


def test_a_tap_inside_names_the_layer_while_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from werkzeug.middleware.profiler import ProfilerMiddleware

    replace_pauses(monkeypatch, lambda: None)
    findings: list[Finding] = []
    inner = tap(load("demo_apps.raw_wsgi:app"), "the view")
    policy = FlushPolicy(on_hold=findings.append)
    Reader().read_wsgi(wrap(inner, policy=policy), "/stream")
    assert findings == []
    Reader().read_wsgi(wrap(ProfilerMiddleware(inner, stream=None), policy=policy), "/stream")
    assert [finding.code for finding in findings] == ["SP401"]
    assert "the view" in findings[0].text


@pytest.mark.parametrize("ahead", [True, False])
def test_a_queue_that_runs_ahead_of_its_reader_is_named(monkeypatch: pytest.MonkeyPatch, ahead: bool) -> None:
    from demo_apps.zoo.queue_runs_ahead import RunAhead

    replace_pauses(monkeypatch, lambda: None)
    named = threading.Event()
    inner = tap(load("demo_apps.raw_wsgi:app"))
    policy = FlushPolicy(on_hold=lambda finding: named.set())
    environ: dict[str, Any] = {"PATH_INFO": "/stream"}
    setup_testing_defaults(environ)
    body = wrap(RunAhead(inner) if ahead else inner, policy=policy)(environ, lambda *head: lambda data: None)
    assert next(iter(body)) == CHUNKS[0]
    if ahead:
        assert named.wait(10), "the reader took one chunk, and the app goes on"
    assert b"".join(body) == b"".join(CHUNKS[1:])
    assert named.is_set() is ahead


def test_a_sleep_in_an_async_app_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DELAY", "0.15")
    with pytest.raises(HeldInside, match="SP402 blocked-loop"):
        read("sleep_in_async_app", Reader(), policy=FlushPolicy(on_hold="raise"))


@pytest.mark.servers
@pytest.mark.parametrize("target", ["gives_way", "keeps_going"])
def test_an_async_generator_that_blocks_streams_through_daphne(target: str) -> None:
    need("daphne")
    with PausedServer("daphne", f"tests.support.policy_zoo:{target}") as server, server.request("/stream") as reader:
        for chunk in CHUNKS:
            server.wait_for_pause()
            if target == "gives_way":
                reader.read_until(chunk)
            else:
                assert reader.read_arrived() == b""
            server.resume()
        reader.read_until(CHUNKS[-1])
