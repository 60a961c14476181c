"""The gunicorn entrypoint on every worker class: it wraps, records, and knows how each stream ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.live_support import Booted, boot, eventually, free_port, need, read_all, read_until

pytestmark = pytest.mark.servers

WORKERS = {
    "sync": ("wsgi", ()),
    "gthread": ("wsgi", ()),
    "gevent": ("wsgi", ("gevent",)),
    "gevent_pywsgi": ("wsgi", ("gevent",)),
    "tornado": ("wsgi", ("tornado",)),
    "asgi": ("asgi", ()),
    "uvicorn_worker.UvicornWorker": ("asgi", ("uvicorn_worker",)),
}
STREAMING = [worker for worker in WORKERS if worker != "tornado"]


@contextmanager
def gunicorn(folder: Path, worker: str, *options: str, **environment: str) -> Iterator[Booted]:
    kind, modules = WORKERS[worker]
    need("gunicorn", *modules)
    port = free_port()
    command = [
        *("gunicorn", "-c", "python:streamproof.gunicorn", "-k", worker, "--no-control-socket"),
        *("-b", f"127.0.0.1:{port}", *options, f"steered:{kind}"),
    ]
    with boot(folder, command, port, environment) as server:
        yield server


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_records_how_each_stream_ended(worker: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, worker) as server:
        assert b"second" in server.get("/complete")
        whole = server.trace("/complete")
        assert whole["end"]["outcome"] == "complete"
        assert [chunk["size"] for chunk in whole["chunks"] if chunk["size"]] == [6, 7]
        assert all("data" not in chunk for chunk in whole["chunks"])
        if worker == "tornado":  # it collects the body, and answers nothing when the app fails
            return

        assert b"\r\n0\r\n\r\n" not in server.get("/error")[-8:]
        assert server.trace("/error")["end"]["outcome"] == "app_error"

        with server.open("/endless") as reader:
            read_until(reader, b"first")
        assert server.trace("/endless")["end"]["outcome"] == "client_gone"


@pytest.mark.parametrize("worker", STREAMING)
def test_a_graceful_stop_lets_a_stream_end_and_be_told(worker: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, worker) as server:
        with server.open("/wait") as reader:
            read_until(reader, b"first")
            server.signal(signal.SIGTERM)
            eventually(lambda: "Handling signal: term" in server.log, "the stop")
            server.pass_gate("go")
            read_until(reader, b"second")
        server.process.wait(10)
        assert server.trace("/wait")["end"]["outcome"] == "complete"


@pytest.mark.parametrize(
    "worker", ["sync", "gthread", "gevent", "gevent_pywsgi", "asgi", "uvicorn_worker.UvicornWorker"]
)
def test_a_stream_that_outlives_the_graceful_timeout_is_told_as_shutdown(worker: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path, worker, "--graceful-timeout", "1") as server:
        with server.open("/wait") as reader:
            read_until(reader, b"first")
            server.signal(signal.SIGTERM)
            end = server.trace("/wait")["end"]
        assert end["outcome"] == "shutdown"


def test_a_sync_worker_that_is_stopped_at_once_tells_its_stream_as_shutdown(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "sync") as server:
        with server.open("/wait") as reader:
            read_until(reader, b"first")
            server.signal(signal.SIGINT)
            end = server.trace("/wait")["end"]
        assert (end["outcome"], end["by"], end["reason"]) == ("shutdown", "gunicorn", "the worker was stopped")


def test_a_sync_worker_that_is_killed_at_its_timeout_tells_its_stream(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "sync", "--timeout", "1") as server:
        with server.open("/wait") as reader:
            read_until(reader, b"first")
            read_all(reader)
        end = server.trace("/wait")["end"]
        assert (end["outcome"], end["by"], end["reason"]) == ("cut", "gunicorn", "worker timeout 1 s")
