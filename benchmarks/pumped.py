"""Measure the CPU time a chunk takes through a WSGI policy's pump thread, beside a bare pair of queues.

The rows of recording are in ``costs.py``. Both sides take turns in one run, because the machine's speed drifts.
"""

from __future__ import annotations

import queue
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from streamproof import FlushPolicy
from streamproof.wsgi import StreamMiddleware

from .drive import environ

#: Seconds between two chunks, and how many chunks one measurement takes.
GAPS = {0.0: 20_000, 0.0005: 2_000, 0.002: 1_000, 0.02: 150}
CHUNK = b"data: " + b"x" * 56 + b"\n\n"


def chunks(count: int, gap: float) -> Iterator[bytes]:
    """Yield ``count`` chunks, ``gap`` seconds apart."""
    for _ in range(count):
        if gap:
            time.sleep(gap)
        yield CHUNK


def bare_pair(count: int, gap: float) -> None:
    """Hand each chunk from one thread to another: an order goes one way, a chunk the other."""
    orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
    brought: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def work() -> None:
        produced = chunks(count, gap)
        while orders.get():
            brought.put(next(produced))

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(count):
        orders.put(True)
        brought.get(True, 30.0)
    orders.put(False)
    thread.join()


def pumped(policy: FlushPolicy, *, recorded: bool) -> Callable[[int, float], None]:
    """Return a run through the middleware with ``policy``."""

    def run(count: int, gap: float) -> None:
        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return chunks(count, gap)

        listeners = (lambda trace: None,) if recorded else ()
        body: Any = StreamMiddleware(app, policy=policy, on_trace=listeners)(environ(), lambda *head: lambda data: None)
        for _ in body:
            pass
        body.close()

    return run


def cpu_per_chunk(rounds: int = 5) -> dict[str, dict[float, float]]:
    """Return for each row and gap the median CPU time a chunk takes, in microseconds, of all threads."""
    rows: dict[str, Callable[[int, float], None]] = {
        "pair of SimpleQueue": bare_pair,
        "for_sse()": pumped(FlushPolicy.for_sse(), recorded=False),
        "for_sse(), recorded": pumped(FlushPolicy.for_sse(), recorded=True),
    }
    found: dict[str, dict[float, float]] = {name: {} for name in rows}
    for gap, count in GAPS.items():
        taken: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(rounds):
            for name, run in rows.items():
                before = _cpu()
                run(count, gap)
                taken[name].append((_cpu() - before) / count * 1e6)
        for name, values in taken.items():
            found[name][gap] = statistics.median(values)
    return found


def table(rounds: int = 5) -> str:
    """Return the rows as text."""
    lines = [f"{'CPU us/chunk at a gap of':24}" + "".join(f"{gap * 1000:>10g} ms" for gap in GAPS)]
    for name, values in cpu_per_chunk(rounds).items():
        lines.append(f"{name:24}" + "".join(f"{values[gap]:13.1f}" for gap in GAPS))
    return "\n".join(lines)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
