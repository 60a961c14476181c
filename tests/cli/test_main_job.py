"""The main job, as a stranger does it: real servers, the demo apps, the emulated hops, the seed's load."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamproof.analysis.diagnosis import diagnose
from streamproof.sansio.trace import Request, Trace
from streamproof.serving.server import Server, serve
from streamproof.sockets.probe import read

ROOT = Path(__file__).parents[2]
FLASK = ("demo_apps.flask_stream:app", Request("GET", "/stream?delay=0.1"))
FASTAPI = ("demo_apps.fastapi_llm:app", Request("POST", "/search?ai_prompt=Tell+me+something+funny"))

pytestmark = pytest.mark.servers

#: Readings of a held stream: on a busy machine a reader may get two writes of one release in two bursts. A stream that
#: must not be held is read once, because the first request is the one that an import would hold.
TRIES = 3


@pytest.fixture(autouse=True)
def quick_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_TOKEN_DELAY", "0.02")


def word(server: Server, request: Request) -> str:
    """The verdict on what a raw reader of the server got of what the app produced."""
    received = read("127.0.0.1", server.port, request, timeout=20)
    return diagnose(server.traces.get(), None, measured=received).verdict.word


@pytest.mark.parametrize(("target", "request_"), [FLASK, FASTAPI], ids=["gunicorn-flask", "uvicorn-fastapi"])
@pytest.mark.parametrize(
    ("via", "verdict"),
    [
        (None, "streams"),
        ("passthrough", "streams"),
        ("gae-standard", "held to the end"),
        ("nginx:proxy_http_version=1.0", "held to the end"),
        ("nginx:proxy_http_version=1.1", "streams"),
        ("nginx:proxy_http_version=1.1,tls=on", "held to the end"),
    ],
)
def test_a_via_in_the_live_process_delivers_as_production_would(
    target: str, request_: Request, via: str | None, verdict: str
) -> None:
    with serve(target, via=via) as server:
        words = [word(server, request_)]
        while verdict == "held to the end" and words[-1] == "in blocks" and len(words) < TRIES:
            words.append(word(server, request_))
        assert words[-1] == verdict, words


def test_the_bytes_behind_a_via_are_those_of_the_app() -> None:
    bodies = {}
    for via in (None, "gae-standard", "nginx", "haproxy"):
        with serve(FLASK[0], via=via) as server:
            bodies[via] = read("127.0.0.1", server.port, FLASK[1], timeout=20).body
    assert set(bodies.values()) == {b"".join(b"Data chunk %d\n" % index for index in range(10))}


def check(*arguments: str, delay: str = "0.1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamproof.cli", "check", *arguments],
        cwd=ROOT,
        env={**os.environ, "DEMO_DELAY": delay, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo_apps.flask_stream:app", "/stream"),
        ("demo_apps.fastapi_llm:app", "/search?ai_prompt=Tell+me+something+funny", "-X", "POST"),
        ("demo_apps.raw_wsgi:app", "/stream"),
        ("demo_apps.raw_asgi:app", "/stream"),
        ("demo_apps.django_stream:wsgi_app", "/stream"),
        ("demo_apps.django_stream:asgi_app", "/stream"),
    ],
    ids=lambda arguments: arguments[0].partition(".")[2],
)
def test_check_says_where_each_demo_would_be_held(arguments: tuple[str, ...], tmp_path: Path) -> None:
    saved = tmp_path / "trace.json"
    done = check(*arguments, "--json", "--save", str(saved))
    assert done.returncode == 0, done.stderr
    points = {point["vantage"]: point for point in json.loads(done.stdout)["vantages"]}
    words = {name: point["verdict"]["word"] for name, point in points.items()}
    assert words["app"] == words["server"] == words["passthrough"] == "streams"
    assert words["gae-standard"] == words["nginx:tls=on"] == "held to the end"
    again = Trace.from_json(saved.read_text("utf-8"))
    assert again.stats.chunks >= 10
    if arguments[1] == "/stream":
        assert len(points["server"]["bursts"]) == 10


def test_asking_for_a_hop_that_holds_is_a_finding() -> None:
    assert check("demo_apps.flask_stream:app", "/stream", "--via", "gae-standard").returncode == 1
    assert check("demo_apps.flask_stream:app", "/stream", "--via", "passthrough").returncode == 0


def test_a_joining_app_does_not_pass(tmp_path: Path) -> None:
    """The negative control: the same stream, joined by Werkzeug's profiler, is no stream any more."""
    done = check("demo_apps.zoo.werkzeug_profiler:app", "/stream", "--via", "passthrough")
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize(("via", "together"), [(None, False), ("gae-standard", True)])
def test_the_documents_client_sees_the_difference(via: str | None, together: bool) -> None:
    """``requests`` with ``iter_lines`` prints as it arrives, or everything at once behind App Engine standard."""
    with serve(FASTAPI[0], via=via) as server:
        done = subprocess.run(
            [sys.executable, "-m", "demo_apps.llm_client", "--url", f"http://127.0.0.1:{server.port}/search"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        made = server.traces.get().stats
    assert done.returncode == 0, done.stderr
    times = [float(found) for found in re.findall(r"^\+([\d.]+)s", done.stdout, re.MULTILINE)]
    assert len(times) >= 10
    assert made.first_byte is not None
    assert made.last_byte is not None
    produced = made.last_byte - made.first_byte
    seen = times[-1] - times[0]
    # A ratio of what the app took, and no clock: together is next to nothing of it, a stream next to all of it.
    assert seen < produced / 3 if together else seen > produced / 3


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "wrapped"])
def test_the_seeds_load_loses_nothing(wrap: bool) -> None:
    """``ab -n 100 -c 10 '…/streamhtml?nblocks=100&block_size=512'``: no failed request, the same bytes."""
    ab = shutil.which("ab")
    if ab is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ab is missing: apt-get install apache2-utils")
        pytest.skip("ab is missing: apt-get install apache2-utils")
    target = "/streamhtml?nblocks=100&block_size=512"
    with serve(FLASK[0], wrap=wrap, options=("--threads", "4")) as server:
        done = subprocess.run(
            [ab, "-n", "100", "-c", "10", f"http://127.0.0.1:{server.port}{target}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", target)
        size = len(connection.getresponse().read())
        connection.close()
    assert done.returncode == 0, done.stderr
    assert re.search(r"Failed requests: +0\n", done.stdout), done.stdout
    assert re.search(r"Complete requests: +100\n", done.stdout), done.stdout
    assert f"HTML transferred:       {100 * size} bytes" in done.stdout, done.stdout
    assert size >= 100 * 512
