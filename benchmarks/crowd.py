"""Many open streams on one uvicorn process: ``python -m benchmarks --crowd 10000``.

Each stream is one event a second. Server CPU and resident memory are read from the system, before the readers come and
while all of them read; the readers are in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
APP = """
import asyncio

from streamproof import FlushPolicy, wrap

EVENT = b"data: " + b"x" * 100 + b"\\n\\n"
HEADERS = [(b"content-type", b"text/event-stream")]


async def bare(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    while True:
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await asyncio.sleep(1)


def quiet(trace):
    pass


recorded = wrap(bare, on_trace=quiet)
for_sse = wrap(bare, on_trace=quiet, policy=FlushPolicy.for_sse())
"""
ROWS = ("bare", "recorded", "for_sse")


class Cost(NamedTuple):
    """Server CPU a second and stream that keeps its pace, seconds, and resident bytes a stream.

    CPU is divided by the events that arrived, because a server that gets too little of it falls behind.
    """

    event: float
    memory: float


@contextlib.contextmanager
def _served(app: str) -> Iterator[tuple[int, int]]:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "crowd_app.py").write_text(APP)
        words = ["--no-access-log", "--lifespan", "off", "--host", HOST, "--port", str(port), "--log-level", "critical"]
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *words, f"crowd_app:{app}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection((HOST, port), 1).close()
                    break
                time.sleep(0.02)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


class _Reader(asyncio.Protocol):
    """Asks once, and counts what comes."""

    def __init__(self, row: str, counts: Counter[str]) -> None:
        self._row, self._counts = row, counts

    def data_received(self, data: bytes) -> None:
        self._counts[self._row] += data.count(b"data: ")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"GET /events HTTP/1.1\r\nHost: crowd\r\nUser-Agent: crowd\r\nAccept: */*\r\n\r\n")


async def _measured(servers: dict[str, tuple[int, int]], streams: int, seconds: float) -> dict[str, Cost]:
    loop = asyncio.get_running_loop()
    idle = {row: _resident(pid) for row, (_, pid) in servers.items()}
    transports = []
    counts = Counter[str]()
    for number in range(streams):
        for row, (port, _) in servers.items():
            # More than one address, because one pair of addresses has fewer ports than that.
            address = (f"127.0.0.{2 + number % 4}", 0)
            transport, _ = await loop.create_connection(partial(_Reader, row, counts), HOST, port, local_addr=address)
            transports.append(transport)
    await asyncio.sleep(3)
    before = {row: _cpu(pid) for row, (_, pid) in servers.items()}
    counts.clear()
    await asyncio.sleep(seconds)
    found = {
        row: Cost((_cpu(pid) - before[row]) / counts[row], (_resident(pid) - idle[row]) / streams)
        for row, (_, pid) in servers.items()
    }
    for transport in transports:
        transport.abort()
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def measure(streams: int, seconds: float) -> dict[str, Cost]:
    """All rows at the same time, so that whatever else the machine does slows each alike; fewer where files are few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    streams = min(streams, (hard - 200) // len(ROWS))
    with contextlib.ExitStack() as stack:
        servers = {row: stack.enter_context(_served(row)) for row in ROWS}
        return asyncio.run(_measured(servers, streams, seconds))


def table(streams: int, seconds: float) -> str:
    """All rows, beside bare."""
    found = measure(streams, seconds)
    bare = found["bare"]
    lines = ["uvicorn, open streams of one event a second", f"{'layer':12}{'cores/10k':>10}{'x bare':>8}{'KiB':>8}"]
    lines += [
        f"{name:12}{cost.event * 10_000:10.2f}{cost.event / bare.event:8.2f}{cost.memory / 1024:8.1f}"
        for name, cost in found.items()
    ]
    return "\n".join(lines)
