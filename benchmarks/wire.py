"""Measures layers on real servers: throughput with ``wrk``, and a soak with readers that leave.

Each server runs in a process group of its own on a loopback port. Bare and wrapped apps take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
APP = """
import asyncio, json, os, threading, gc
from itertools import repeat
from benchmarks.subjects import closing_iterator, no_op_send
from streamproof import wrap
from streamproof.settings.assembly import Assembly
from streamproof.adapters import compiled
from streamproof.live import recordings
from streamproof.settings.loading import load

if os.environ.get("BENCHMARKS_PURE"):
    compiled.counting = None
BLOCK = b"x" * 512
EVENT = b"data: " + b"x" * 100 + b"\\n\\n"


def left(tasks):
    gc.collect()
    return json.dumps({"tasks": tasks, "streams": len(recordings())}).encode()


def plain_wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/left":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [left(0)]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return endless() if environ["PATH_INFO"] == "/events" else blocks()


def blocks():
    for block in repeat(BLOCK, 100):
        yield block


def endless():
    import time
    while True:
        yield EVENT
        time.sleep(0.05)


async def plain_asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/left":
        await send({"type": "http.response.body", "body": left(len(asyncio.all_tasks()) - 1)})
        return
    if scope["path"] != "/events":
        for block in repeat(BLOCK, 100):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    gone = asyncio.ensure_future(receive())
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            await asyncio.sleep(0.05)
    finally:
        gone.cancel()


def record(trace):
    with open(os.environ["BENCHMARKS_RECORDS"], "ab", 0) as file:
        file.write(b"%s %d\\n" % (trace.outcome.encode(), trace.stats.chunks))


def discard(trace):
    pass


idle_wsgi, idle_asgi = closing_iterator(plain_wsgi), no_op_send(plain_asgi)
listener = record if os.environ.get("BENCHMARKS_RECORDS") else discard
wsgi, asgi = wrap(plain_wsgi, on_trace=listener), wrap(plain_asgi, on_trace=listener)
entrypoint = Assembly(load(environ={}, folder="/"))
entrypoint_wsgi, entrypoint_asgi = entrypoint.wrap(plain_wsgi), entrypoint.wrap(plain_asgi)
"""
SERVERS = {
    "gunicorn sync": ("wsgi", ["gunicorn", "--no-control-socket", "-k", "sync", "-b", "{host}:{port}"]),
    "gunicorn gthread": (
        "wsgi",
        ["gunicorn", "--no-control-socket", "-k", "gthread", "--threads", "{threads}", "-b", "{host}:{port}"],
    ),
    "uvicorn": ("asgi", ["uvicorn", "--no-access-log", "--lifespan", "off", "--host", "{host}", "--port", "{port}"]),
}


@contextlib.contextmanager
def served(name: str, app: str, threads: int = 8, records: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a server; yield its port and the id of its process (uvicorn) or master process (gunicorn)."""
    _, words = SERVERS[name]
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_app.py").write_text(APP)
        command = [word.format(host=HOST, port=port, threads=threads) for word in words]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, f"bench_app:{app}"],
            cwd=folder,
            env={**os.environ, "BENCHMARKS_RECORDS": str(records or ""), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection((HOST, port), 1).close()
                    break
                time.sleep(0.02)
            yield port, process.pid
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


#: The layers around the app: none, one that does nothing, recording, and the entrypoint with its log line.
LAYERS = {"bare": "plain_{}", "no-op": "idle_{}", "recorded": "{}", "entrypoint": "entrypoint_{}"}


def throughput(name: str, rounds: int = 9, seconds: int = 2) -> tuple[float, dict[str, float]]:
    """Responses of 100 x 512 B per second with the bare app, and the share of that rate with each layer.

    The layers take turns in each round, in alternating order. The result is the median of the rounds' shares, because
    other load on the machine affects all layers of a round.
    """
    protocol, _ = SERVERS[name]
    rates: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    with contextlib.ExitStack() as stack:
        ports = {layer: stack.enter_context(served(name, app.format(protocol)))[0] for layer, app in LAYERS.items()}
        for turn in range(rounds):
            for layer in LAYERS if turn % 2 else reversed(LAYERS):
                command = ["wrk", "-t", "1", "-c", "4", "-d", f"{seconds}s", f"http://{HOST}:{ports[layer]}/"]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found = re.search(r"Requests/sec:\s+([\d.]+)", output)
                assert found is not None, output
                rates[layer].append(float(found[1]))
    bare = rates.pop("bare")
    shares = {
        layer: median(late / early for early, late in zip(bare, each, strict=True)) for layer, each in rates.items()
    }
    return median(bare), shares


async def _reader(port: int, until: float, counts: Counter[str], chance: random.Random) -> None:
    while time.monotonic() < until:
        counts["opened"] += 1
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"GET /events HTTP/1.1\r\nHost: soak\r\n\r\n")
            leaves = time.monotonic() + chance.uniform(0.2, 8.0)
            while time.monotonic() < min(leaves, until):
                await reader.read(4096)
            writer.close()
        except OSError:
            counts["failed"] += 1
            await asyncio.sleep(0.1)


async def _crowd(port: int, readers: int, seconds: float) -> Counter[str]:
    counts: Counter[str] = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(*(_reader(port, until, counts, random.Random(number)) for number in range(readers)))
    return counts


def soak(name: str, readers: int, seconds: float) -> str:
    """Run readers that come and go; report the records, the memory, and what is left open."""
    protocol, _ = SERVERS[name]
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder, "records")
        with served(name, protocol, threads=readers, records=records) as (port, pid):
            idle = _left(port)
            asyncio.run(_crowd(port, readers, 2.0))
            _settle(records)
            before = _rss(pid)
            first = len(records.read_text().splitlines())
            counts, memory = Counter[str](), [before]
            for _ in range(3):
                counts += asyncio.run(_crowd(port, readers, seconds / 3))
                _settle(records)
                memory.append(_rss(pid))
            lines = records.read_text().splitlines()[first:]
            threads, left = _threads(pid), _left(port)
    outcomes = Counter(line.split()[0] for line in lines)
    flat = ", ".join(f"{each:.1f}" for each in memory)
    verdict = "every stream in one record" if len(lines) == counts["opened"] - counts["failed"] else "RECORDS DIFFER"
    return (
        f"{name}, {readers} readers, {seconds:g} s: {counts['opened']} streams, {counts['failed']} refused, "
        f"{len(lines)} records {json.dumps(outcomes)}: {verdict}; memory {flat} MiB; "
        f"left open: {left['streams']} streams, {left['tasks'] - idle['tasks']} tasks; {threads} threads in the server"
    )


def _left(port: int) -> dict[str, int]:
    """The streams and tasks that are left in the server, without the request that reads them."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/left", timeout=10) as answer:
        found: dict[str, int] = json.load(answer)
    found["streams"] -= 1
    return found


def _settle(records: Path) -> None:
    size, still = -1, 0
    while still < 10:
        time.sleep(0.2)
        now = records.stat().st_size if records.exists() else 0
        still = still + 1 if now == size else 0
        size = now


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def _rss(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in _family(pid))
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def _threads(pid: int) -> int:
    return sum(len(list(Path(f"/proc/{each}/task").iterdir())) for each in _family(pid))
