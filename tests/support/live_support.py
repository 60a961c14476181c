"""Real servers for the tests of the doors: an app steered by its readers, a server in its own process group.

The app waits where a test makes it wait and goes on when the test lets it (files as gates): nothing here is timed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

LIMIT = 15.0  # seconds, after which something that must happen has not

STEERED = '''
import asyncio, os, time

GATES = os.environ["GATES"]
FIRST, SECOND, REST = b"first\\n", b"second\\n", b"x" * 200_000


def passed(name):
    return os.path.exists(os.path.join(GATES, name))


def pieces(path):
    """Yield bytes, or the name of a gate to wait for."""
    yield FIRST
    if path == "/complete":
        yield SECOND
    elif path == "/error":
        yield SECOND
        raise RuntimeError("in the middle")
    elif path == "/wait":
        yield "go"
        yield SECOND
    elif path == "/endless":
        while True:
            yield None
            yield REST


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body(environ["PATH_INFO"])


def body(path):
    for piece in pieces(path):
        if piece is None:
            time.sleep(0.01)
        elif isinstance(piece, str):
            while not passed(piece):
                time.sleep(0.01)
        else:
            yield piece


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    gone = asyncio.ensure_future(disconnected(receive))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for piece in pieces(scope["path"]):
            if gone.done():
                return
            if piece is None:
                await asyncio.sleep(0.01)
            elif isinstance(piece, str):
                while not passed(piece):
                    await asyncio.sleep(0.01)
            else:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
'''


def need(*modules: str) -> None:
    """Skip without one of ``modules``; in CI, where all are promised, fail."""
    from importlib.util import find_spec

    for name in modules:
        if find_spec(name) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} is not installed, and CI must run everything")
            pytest.skip(f"needs {name}: pip install {name}")


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def eventually(look: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
    """The first true answer of ``look``; fails the test when none comes."""
    end = time.monotonic() + limit
    while not (answer := look()):
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen within {limit:g} s")
        time.sleep(0.01)
    return answer


class Booted:
    """A server that runs; its folder holds the app, the traces and the log."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self.process, self.folder, self.port = process, folder, port

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text(errors="replace")

    def traces(self) -> list[dict[str, Any]]:
        """The traces that it has exported."""
        path = self.folder / "traces.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def trace(self, path: str) -> dict[str, Any]:
        """The one trace of ``path``, when it has come."""
        found: list[dict[str, Any]] = eventually(
            lambda: [trace for trace in self.traces() if trace["request"]["target"] == path],
            f"a trace of {path}\n{self.log}",
        )
        assert len(found) == 1
        return found[0]

    def open(self, path: str) -> socket.socket:
        """Ask for ``path``."""
        sock = socket.create_connection(("127.0.0.1", self.port), LIMIT)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        return sock

    def get(self, path: str) -> bytes:
        """Everything that is answered to ``path``, head and all."""
        with self.open(path) as sock:
            return read_all(sock)

    def pass_gate(self, name: str) -> None:
        """Let the app go on."""
        (self.folder / name).touch()

    def signal(self, number: signal.Signals) -> None:
        """Send the main process a signal."""
        self.process.send_signal(number)


def read_all(sock: socket.socket) -> bytes:
    """All bytes until the end or a reset."""
    read = []
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            read.append(data)
    return b"".join(read)


def read_until(sock: socket.socket, text: bytes) -> bytes:
    """Bytes until ``text`` has come."""
    read = b""
    while text not in read:
        data = sock.recv(65536)
        assert data, f"the stream ended before {text!r}: {read!r}"
        read += data
    return read


@contextlib.contextmanager
def boot(
    folder: Path,
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str] | None = None,
    *,
    wait: bool = True,
) -> Iterator[Booted]:
    """Run ``command`` (module and arguments) in ``folder`` beside the steered app; its group is gone afterwards."""
    (folder / "steered.py").write_text(STEERED)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMPROOF", "GUNICORN"))}
    env = {
        **clean,
        "GATES": str(folder),
        "STREAMPROOF_JSONL": str(folder / "traces.jsonl"),
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Booted(process, folder, port)
    try:
        if wait:
            eventually(lambda: _listens(server), "the boot")
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(server: Booted) -> bool:
    if server.process.poll() is not None:
        pytest.fail(f"the server stopped with {server.process.returncode}:\n{server.log}")
    try:
        socket.create_connection(("127.0.0.1", server.port), 1).close()
    except OSError:
        return False
    return True
