"""Behind proxies that hold: a policy turns "held to the end" into "streams", and replay and real nginx agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamproof import ConfigurationError, Trace
from streamproof.adapters.policy import PreparedPolicy, beat_size
from streamproof.analysis.diagnosis import diagnose
from streamproof.analysis.replay import replay as replayed
from streamproof.sansio.flush import FlushPolicy
from streamproof.sansio.http import Headers
from streamproof.sansio.machine import Data, End, Head
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd
from streamproof.sansio.verdict import judge_delivery
from streamproof.serving.server import serve
from tests.proxies.configurations import CONFIGURATIONS, Configuration
from tests.proxies.products import Missing
from tests.proxies.reader import read
from tests.proxies.tls import trusting

HOLDING = ["nginx", "nginx-gzip", "nginx-tls"]
BEHIND = {name: CONFIGURATIONS[name] for name in HOLDING}
TEXT = (("Content-Type", "text/plain"),)
LINES = [b"line %d\n" % number for number in range(5)]
GZIP = (("Accept-Encoding", "gzip"),)


def left(policy: FlushPolicy | None, *, request: Request = Request(headers=GZIP)) -> Trace:  # noqa: B008
    """The recording of an app that says a line a second, under ``policy``."""
    headers: Headers = TEXT
    chunks: list[Chunk] = []
    if policy is not None:
        machine = policy.start(request, 0.0)
        for event in machine.receive(Head(200, TEXT, "chunked", 40), 0.0):
            if isinstance(event, Head):
                headers = event.headers
        for at, line in enumerate(LINES):
            out = machine.receive(Data(line), at)
            chunks += [Chunk(at, len(one.data), None, bytes(one.data)) for one in out if isinstance(one, Data)]
        machine.receive(End(), len(LINES))
    else:
        chunks = [Chunk(at, len(line), None, line) for at, line in enumerate(LINES)]
    end = StreamEnd(float(len(LINES)), Outcome.COMPLETE)
    return Trace(request, Response(200, headers), tuple(chunks), end, "gunicorn")


@pytest.mark.parametrize("name", HOLDING)
def test_what_was_held_streams_with_the_policy(name: str) -> None:
    via = BEHIND[name].via
    assert diagnose(left(None), via).verdict.word == "held to the end"
    assert diagnose(left(FlushPolicy()), via).verdict.word == "streams"


@pytest.mark.parametrize("via", ["gae-standard", "nginx+nginx"])
def test_a_hop_that_nobody_can_talk_to_still_holds(via: str) -> None:
    assert diagnose(left(FlushPolicy()), via).verdict.word == "held to the end"


@pytest.mark.servers
@pytest.mark.proxies
@pytest.mark.parametrize("name", HOLDING)
def test_real_nginx_says_the_same(name: str) -> None:
    words = {}
    try:
        for app in ("plain_text", "flushed_text"):
            words[app] = _both(BEHIND[name], app)
    except Missing as missing:
        import os

        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}, and CI must run everything")
        pytest.skip(str(missing))
    assert words == {"plain_text": ("held to the end",) * 2, "flushed_text": ("streams",) * 2}


def _both(behind: Configuration, app: str) -> tuple[str, str]:
    """The verdict on what a reader behind real nginx got, and on what replay says that he gets."""
    with serve(f"tests.support.policy_zoo:{app}", server="gunicorn") as server, behind.running(server.port) as site:
        seen = read(
            site.port,
            Request(target="/stream", headers=(("Host", "test"), *GZIP)),
            trusting(site.certificate, "http/1.1"),
        )
        made = server.traces.get()
        while made.request.target != "/stream":
            made = server.traces.get()
    asked = replace(made, request=made.request._replace(headers=GZIP, http_version="1.1"))
    return judge_delivery(made, seen.trace)[0].word, diagnose(asked, behind.via).verdict.word


def test_a_heartbeat_is_as_large_as_its_hops_need() -> None:
    silent = FlushPolicy(accel_buffering=False)
    sizes = {via: beat_size(via, FlushPolicy()) for via in ("passthrough", "nginx", "nginx+nginx")}
    assert sizes["passthrough"] == sizes["nginx"] == 1, "nginx is asked not to buffer"
    assert 4000 < sizes["nginx+nginx"] <= 4096, "the second one is not asked"
    assert 4000 < beat_size("nginx", silent) <= 4096
    policy = PreparedPolicy(FlushPolicy(heartbeat=5.0, heartbeat_via="nginx+nginx")).policy
    assert policy.heartbeat_size == sizes["nginx+nginx"]


@pytest.mark.parametrize("padded", [True, False])
def test_a_padded_heartbeat_frees_what_a_bare_one_leaves_in_the_buffer(padded: bool) -> None:
    via = "nginx+nginx"
    policy = FlushPolicy(heartbeat=5.0, heartbeat_via=via) if padded else FlushPolicy(heartbeat=5.0)
    machine = PreparedPolicy(policy).start(Request(), 0.0)
    head = machine.receive(Head(200, (("Content-Type", "text/event-stream"),), "chunked", 60), 0.0)[0]
    assert isinstance(head, Head)
    machine.receive(Data(b"data: here\n\n"), 0.0)
    chunks = [Chunk(0.0, 12, None, b"data: here\n\n")]
    for _ in range(3):
        at = machine.deadline
        assert at is not None
        chunks += [Chunk(at, len(one.data), None, bytes(one.data)) for one in machine.wake(at) if isinstance(one, Data)]
    trace = Trace(Request(), Response(200, head.headers), tuple(chunks), StreamEnd(60.0, Outcome.COMPLETE))
    assert (replayed(trace, via).chunks[0].at == 5.0) is padded


def test_no_heartbeat_frees_what_is_held_whole() -> None:
    with pytest.raises(ConfigurationError, match="keep the whole body"):
        beat_size("gae-standard", FlushPolicy())
