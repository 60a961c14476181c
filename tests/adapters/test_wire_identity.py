"""Real servers send the same bytes whether an app is recorded or not."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.wire_shapes import ASGI_SHAPES, WSGI_SHAPES

pytestmark = [pytest.mark.servers, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[2]
WSGI, ASGI = "tests.support.wire_shapes:wsgi_app", "tests.support.wire_shapes:asgi_app"
GUNICORN = ("gunicorn", "--no-control-socket", "--log-level", "critical", "-b", "127.0.0.1:{port}")
WERKZEUG = """
from werkzeug.serving import run_simple
from tests.support.wire_shapes import wsgi_app
run_simple("127.0.0.1", {port}, wsgi_app, threaded=True)
"""
WSGIREF = """
from wsgiref.simple_server import make_server
from tests.support.wire_shapes import wsgi_app
make_server("127.0.0.1", {port}, wsgi_app).serve_forever()
"""

SERVERS: dict[str, tuple[str, Sequence[str]]] = {
    "gunicorn-sync": ("gunicorn", (*GUNICORN, WSGI)),
    "gunicorn-gthread": ("gunicorn", (*GUNICORN, "-k", "gthread", "--threads", "4", WSGI)),
    "gunicorn-gevent": ("gevent", (*GUNICORN, "-k", "gevent", WSGI)),
    "gunicorn-gevent_pywsgi": ("gevent", (*GUNICORN, "-k", "gevent_pywsgi", WSGI)),
    "gunicorn-asgi": ("gunicorn", (*GUNICORN, "-k", "asgi", ASGI)),
    "waitress": ("waitress", ("waitress", "--listen=127.0.0.1:{port}", WSGI)),
    "granian-wsgi": ("granian", ("granian", "--interface", "wsgi", "--port", "{port}", WSGI)),
    "granian-asgi": ("granian", ("granian", "--interface", "asgi", "--port", "{port}", ASGI)),
    "uvicorn-h11": ("uvicorn", ("uvicorn", "--http", "h11", "--port", "{port}", ASGI)),
    "uvicorn-httptools": ("httptools", ("uvicorn", "--http", "httptools", "--port", "{port}", ASGI)),
    "uvicorn-wsgi": ("a2wsgi", ("uvicorn", "--interface", "wsgi", "--port", "{port}", WSGI)),
    "hypercorn-asgi": ("hypercorn", ("hypercorn", "-b", "127.0.0.1:{port}", ASGI)),
    "hypercorn-wsgi": ("hypercorn", ("hypercorn", "-b", "127.0.0.1:{port}", f"wsgi:{WSGI}")),
    "daphne": ("daphne", ("daphne", "-p", "{port}", ASGI)),
    "werkzeug": ("werkzeug", ("-c", WERKZEUG)),
    "wsgiref": ("wsgiref", ("-c", WSGIREF)),
}
MASKED = re.compile(rb"(?im)^(date: ).*?\r$")
SILENCE = 0.5  # seconds without a byte: taken for a server that leaves the connection open
PATIENCE = 3.0  # the same for cases that differ: daphne looks for failed apps once a second, and machines are slow


@contextmanager
def serving(command: Sequence[str]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    arguments = [part.replace("{port}", str(port)) for part in command]
    if arguments[0] != "-c":
        arguments.insert(0, "-m")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'middleware'}", "GRANIAN_LOG_LEVEL": "critical"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 20
        while not answers(port):
            assert process.poll() is None, f"{arguments} ended with {process.returncode}"
            assert time.monotonic() < limit, f"{arguments} does not answer"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def answers(port: int) -> bool:
    try:
        return fetch(port, "GET", "/ready", "1.1").startswith(b"HTTP/1.")
    except OSError:
        return False


def fetch(port: int, method: str, path: str, version: str, silence: float = SILENCE) -> bytes:
    """Everything that the server sends on one connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"{method} {path} HTTP/{version}\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        connection.settimeout(silence)
        try:
            while data := connection.recv(65536):
                received += data
        except TimeoutError:
            received += b"<left open>"
        except ConnectionResetError:
            received += b"<reset>"
    return MASKED.sub(rb"\1...\r", received)


@pytest.mark.parametrize("server", SERVERS)
def test_the_bytes_are_the_same(server: str) -> None:
    package, command = SERVERS[server]
    if importlib.util.find_spec(package) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{package} is not installed")
        pytest.skip(f"{package} is not installed")
    shapes = ASGI_SHAPES if ASGI in command else WSGI_SHAPES
    with serving(command) as port, ThreadPoolExecutor(8) as pool:

        def both(case: tuple[str, str, str], silence: float) -> tuple[bytes, bytes]:
            shape, method, version = case
            bare = fetch(port, method, f"/bare/{shape}", version, silence)
            return bare, fetch(port, method, f"/recorded/{shape}", version, silence)

        cases = [
            (shape, method, version)
            for shape in shapes
            for method, version in (("GET", "1.1"), ("GET", "1.0"), ("HEAD", "1.1"))
        ]
        answered = dict(zip(cases, pool.map(lambda case: both(case, SILENCE), cases), strict=True))
        differing = [case for case, (bare, recorded) in answered.items() if bare != recorded]
        again = dict(zip(differing, pool.map(lambda case: both(case, PATIENCE), differing), strict=True))
    assert {case: pair for case, pair in again.items() if pair[0] != pair[1]} == {}
    assert sum(1 for bare, _ in answered.values() if bare.startswith(b"HTTP/1.")) > len(cases) / 2
