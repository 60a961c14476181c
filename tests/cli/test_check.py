"""``streamproof check`` with real servers: its report on a stream, on the buffered twin, and on each way to fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproof.cli import main
from streamproof.cli._report import USUAL_VIAS
from streamproof.sansio.trace import Trace
from streamproof.serving.server import serve

from ..support.demo_support import need
from ..support.streams import LINES, PAUSE

pytestmark = pytest.mark.servers
STREAMING = "tests.support.streams:streaming"
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test: no child process, no folder."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(ROOT)
    need("gunicorn")
    yield
    assert list(folder.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: status, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["check", *arguments])
        return status, *capsys.readouterr()

    return run


def vantages(output: str) -> dict[str, Any]:
    return {vantage["vantage"]: vantage for vantage in json.loads(output)["vantages"]}


def words(output: str) -> dict[str, str]:
    return {name: vantage["verdict"]["word"] for name, vantage in vantages(output).items()}


def notes(output: str) -> list[str]:
    return [note["text"] for note in json.loads(output)["notes"]]


def test_a_stream_is_healthy_where_it_streams_and_held_where_it_is(check: Run) -> None:
    status, out, _ = check(STREAMING, "--json")
    assert status == 0
    seen = vantages(out)
    assert list(seen) == ["app", "server", *USUAL_VIAS]
    assert {name: seen[name]["verdict"]["word"] for name in ("app", "server", "passthrough", "gae-standard")} == {
        "app": "streams",
        "server": "streams",
        "passthrough": "streams",
        "gae-standard": "held to the end",
    }
    assert [size for _, size in seen["server"]["bursts"]] == [len(line) for line in LINES]
    assert [size for _, size in seen["gae-standard"]["bursts"]] == [sum(map(len, LINES))]
    assert seen["gae-standard"]["worst_lag"] >= PAUSE * len(LINES) * 0.99
    # 1.0 makes gunicorn close-delimited, and that is what nginx buffers
    assert seen["nginx:proxy_http_version=1.0"]["verdict"]["word"] == "held to the end"
    assert seen["nginx:proxy_http_version=1.1"]["verdict"]["word"] == "streams"


def test_its_buffered_twin_is_not_a_stream(check: Run) -> None:
    status, out, _ = check("tests.support.streams:buffered", "--json")
    assert status == 1
    assert words(out) == {"app": "not a stream", "server": "not a stream"}
    (note,) = notes(out)
    assert note.startswith("GET / is not a stream: the body came in one chunk, 0.2")
    assert note.endswith(
        " s after the request. Expected several chunks. Does the view collect the body before it returns?"
    )


def test_the_vias_that_are_asked_for_decide_the_status(check: Run) -> None:
    assert check(STREAMING, "--json", "--via", "passthrough")[0] == 0
    status, out, _ = check(STREAMING, "--json", "--via", "passthrough", "--via", "gae-standard")
    assert (status, list(words(out))) == (1, ["app", "server", "passthrough", "gae-standard"])


def test_an_asgi_app_is_served_by_uvicorn(check: Run) -> None:
    need("uvicorn")
    status, out, _ = check("tests.support.streams:streaming_async", "--json", "--via", "passthrough")
    assert (status, json.loads(out)["server"]) == (0, "uvicorn")
    assert [size for _, size in vantages(out)["app"]["bursts"]] == [len(line) for line in LINES]


def test_the_demo_app_is_shown_live_then_as_a_table_and_a_waterfall(check: Run, monkeypatch: Any) -> None:
    need("flask")
    monkeypatch.setenv("FORCE_COLOR", "1")
    status, out, err = check("demo_apps.flask_stream:app", "/stream?delay=0.06", "--via", "nginx:tls=on")
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[0].startswith("gunicorn serves demo_apps.flask_stream:app (WSGI) at http://127.0.0.1:")
    assert lines[1] == "200 OK, text/plain, chunked"
    assert [line[21:] for line in lines[2:12]] == [f'B  "Data chunk {number}\\n"' for number in range(10)]
    assert lines[13].split() == ["first", "last", "bursts", "lag", "outcome", "verdict"]
    assert [line.split()[0] for line in lines[14:17]] == ["app", "server", "nginx:tls=on"]
    assert [line.partition("complete ")[2] for line in lines[14:17]] == ["streams", "streams", "held to the end"]
    app, server, nginx = (line.partition("|")[2] for line in lines[19:22])
    assert (set(app), app.count("▂")) == ({"▂", " "}, 10)
    assert server.count("▂") >= 8  # a busy machine may bring two at once
    assert set(nginx) == {"·", "█"}
    assert lines[23] == "nginx:tls=on: held to the end"
    verdict = " ".join(line.strip() for line in lines[24:])
    assert verdict.startswith("all 130 B at 0.")
    assert verdict.endswith("fix: send `X-Accel-Buffering: no` (replayed: the response then streams)")
    assert max(map(len, lines[2:])) <= 80
    assert all(line.isprintable() for line in lines)


def test_a_server_that_runs_already_is_read_by_its_url(check: Run) -> None:
    with serve(STREAMING, wrap=False) as server:
        status, out, _ = check(server.url, "/any", "--json", "--via", "passthrough", "--via", "nginx")
    assert status == 1
    assert json.loads(out)["url"] == f"{server.url}/any"
    # gunicorn is known by its Server field: it would answer nginx's HTTP/1.0 close-delimited
    assert words(out) == {"server": "streams", "passthrough": "streams", "nginx": "held to the end"}


def test_a_saved_recording_replays_to_the_same_report(
    check: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "stream.json"
    _, out, _ = check(STREAMING, "--json", "--save", str(kept), "--via", "nginx", "--via", "haproxy")
    trace = Trace.from_json(kept.read_text())
    assert (trace.server, trace.body) == ("gunicorn", b"".join(LINES))
    status = main(["replay", str(kept), "--json", "--via", "nginx", "--via", "haproxy"])
    again = vantages(capsys.readouterr().out)
    first = vantages(out)
    del first["server"]
    assert (status, again) == (1, first)


def test_the_request_has_curls_options(check: Run, tmp_path: Path) -> None:
    kept = tmp_path / "stream.json"
    arguments = ["-d", "a=1", "-d", "b=2", "-H", "X-A: b", "-H", "Accept-Encoding:", "--save", str(kept)]
    status, out, _ = check(STREAMING, "search?q=a b", *arguments, "--json", "--via", "passthrough")
    request = Trace.from_json(kept.read_text()).request
    assert (status, request.method, request.target) == (0, "POST", "/search?q=a%20b")
    names = {name.lower(): value for name, value in request.headers}
    assert names["content-type"] == "application/x-www-form-urlencoded"
    assert (names["content-length"], names["x-a"]) == ("7", "b")
    assert "accept-encoding" not in names


@pytest.mark.parametrize(
    ("attribute", "note"),
    [
        (
            "sized",
            "GET / is not a stream: the body came in one chunk with Content-Length 5, 0.00",
        ),
        ("missing", "GET / answered 404 Not Found (nothing here). Expected a streamed response. Is the path correct?"),
        (
            "moved",
            "GET / answered 302 Found, a redirect to /there. Expected a streamed response. Is that the path to check?",
        ),
        (
            "raises_before",
            "GET / answered 500 Internal Server Error: the app raised before the response started: "
            "ValueError: before the head.",
        ),
        (
            "raises_within",
            "The app raised after 2 chunks: ValueError: in the middle. The reader sees an incomplete response.",
        ),
    ],
)
def test_each_answer_that_is_not_a_stream_has_a_note(check: Run, attribute: str, note: str) -> None:
    status, out, _ = check(f"tests.support.streams:{attribute}", "--json", "--via", "passthrough")
    assert status == 1
    (printed,) = notes(out)
    assert printed.startswith(note)


def test_an_endless_stream_is_left_and_the_app_notices(check: Run) -> None:
    status, out, _ = check("tests.support.streams:endless", "--chunks", "3", "--json", "--via", "passthrough")
    assert status == 0
    assert set(words(out).values()) == {"streams"}
    (note,) = notes(out)
    assert note.startswith("The reader left at 0.1")
    assert "s (after 3 chunks, as requested). The app noticed 0." in note
    assert note.endswith(" s later (client_gone).")


def test_a_reader_waits_so_long_for_a_silent_app(check: Run) -> None:
    status, out, _ = check("tests.support.streams:silent", "--timeout", "100ms", "--json", "--via", "passthrough")
    assert status == 1
    (note,) = notes(out)
    assert note.startswith("127.0.0.1:")
    assert note.endswith(
        " sent nothing for 0.1 s. Expected bytes or the end. Does a hop hold them, or is the app silent?"
    )


def test_a_worker_timeout_of_gunicorn_is_recognized(check: Run) -> None:
    status, out, _ = check(
        "tests.support.streams:endless", "--server", "gunicorn --timeout 1", "--json", "--via", "passthrough"
    )
    assert (status, words(out)["server"]) == (1, "cut")
    assert notes(out) == [
        "gunicorn killed the worker in mid-stream. On the sync worker, --timeout (30 s by default) limits the whole "
        "response. Use --threads 4 (gthread), or a longer --timeout."
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tests.support.streams:factory"],
            "'tests.support.streams:factory' is a function that needs no arguments. Expected a WSGI or ASGI app. "
            "Is it a factory: 'tests.support.streams:factory()'?",
        ),
        (
            [STREAMING, "--server", "'gunicorn"],
            '--server "\'gunicorn" cannot be parsed: No closing quotation. Expected a name, with options quoted as in '
            "a shell.",
        ),
        (
            ["ftp://127.0.0.1/"],
            "'ftp://127.0.0.1/' is not an http or https URL with a host. Expected http://host:port/path or "
            "https://host/path.",
        ),
        (
            [STREAMING, "-H", "nonsense"],
            "'nonsense' is not a header. Expected 'Name: value', or 'Name:' to remove a header.",
        ),
        (
            [STREAMING, "-d", "@/no/such/file"],
            "The data file '/no/such/file' cannot be read: No such file or directory. Expected a file name after @.",
        ),
    ],
)
def test_what_cannot_run_is_one_sentence_and_status_2(check: Run, arguments: list[str], message: str) -> None:
    status, _, err = check(*arguments)
    assert (status, err) == (2, f"streamproof: {message}\n")


def test_an_unknown_via_is_an_error_before_a_server_is_booted(check: Run) -> None:
    status, out, err = check("nowhere:app", "--via", "ngnix")
    assert (status, out) == (2, "")
    assert err.startswith("streamproof: 'ngnix' in via 'ngnix' is not a known profile. Valid names: ")
    assert err.endswith("Did you mean 'nginx'?\n")


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [(signal.SIGINT, 130, "streamproof: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_an_interrupted_check_leaves_nothing_behind(
    number: signal.Signals, status: int, message: str, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproof.cli", "check", "tests.support.streams:endless"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    serving, *_ = [process.stdout.readline() for _ in range(3)]  # it reads the stream by now
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (status, message)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="refused"):
        _connect(int(serving.split(":")[-1].strip("/\n")))


def _connect(port: int) -> None:
    import socket

    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) == 0, "refused"


def test_a_request_that_waits_for_its_server_is_no_hold() -> None:
    """What is measured counts from the moment at which the app was called, and nothing is ever before that."""
    from streamproof.analysis.production import on_the_apps_clock

    from ..support.traces import tokens

    measured = tokens(4)
    late = on_the_apps_clock(measured, 0.5)
    assert [chunk.at for chunk in late.chunks] == [0.0, 0.0, 0.5, 1.0]
    assert late.end.at == measured.end.at - 0.5
    assert on_the_apps_clock(measured, -0.1) is measured
