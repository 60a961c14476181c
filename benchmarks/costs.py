"""Measures in this process and with callgrind: instructions and nanoseconds a chunk, microseconds a response, bytes.

Times are paired: all layers take turns within each round, and the least of all rounds counts, because whatever else the
machine does can only add. Instructions are counted, so they do not vary with load.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .drive import asgi_app, environ, runner, scope, wsgi_app
from .subjects import KINDS

CHUNKS = 10_000  # what a layer costs once it is under way, not what waking it up costs after the one before
RESPONSES = 200
FEW, MANY = 1000, 3000  # chunks of the two runs under callgrind


def available(kind: str) -> list[str]:
    """The layers whose packages are here."""
    found = []
    for name in KINDS[kind]:
        try:
            KINDS[kind][name](wsgi_app(1) if kind == "wsgi" else asgi_app(1))
        except ImportError:
            continue
        found.append(name)
    return found


def looped(kind: str, name: str) -> bool:
    """Does the layer need an event loop?"""
    return kind == "asgi" and name.endswith("via")


def over_bare(kind: str, names: Iterable[str], rounds: int, chunks: int, times: int) -> dict[str, float]:
    """Seconds that so many responses take more than through no layer; what needs a loop is held against bare in one."""

    def many(call: Callable[[], None]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(times):
                call()

        return calls

    names = list(names)
    calls = {name: many(runner(kind, name, chunks, looped=looped(kind, name))) for name in names}
    if any(looped(kind, name) for name in names):
        calls["in a loop"] = many(runner(kind, "bare", chunks, looped=True))
    found = least(calls, rounds)
    return {name: found[name] - found["in a loop" if looped(kind, name) else "bare"] for name in names}


def least(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds that each call takes at least; they take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - before)
    return best


def per_chunk(kind: str, names: Iterable[str], rounds: int) -> dict[str, float]:
    """Nanoseconds per chunk over bare."""
    gc.disable()
    try:
        found = over_bare(kind, names, rounds, CHUNKS, 1)
    finally:
        gc.enable()
    return {name: seconds / CHUNKS * 1e9 for name, seconds in found.items()}


def per_response(kind: str, names: Iterable[str], rounds: int) -> dict[str, float]:
    """Microseconds per response of two chunks over bare."""
    return {name: seconds / RESPONSES * 1e6 for name, seconds in over_bare(kind, names, rounds, 2, RESPONSES).items()}


def instructions(kind: str, names: Iterable[str]) -> dict[str, int]:
    """Instructions per chunk over bare, counted by callgrind; empty when valgrind is not here."""
    names = list(names)

    def count(name: str, chunks: int) -> int:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
        told = subprocess.run(
            [*command, "-m", "benchmarks.drive", kind, name, str(chunks)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        found = re.search(r"Collected : (\d+)", told.stderr)
        assert found is not None, told.stderr
        return int(found[1])

    try:
        with ThreadPoolExecutor(2) as pool:
            few = list(pool.map(lambda name: count(name, FEW), names))
            many = list(pool.map(lambda name: count(name, MANY), names))
    except FileNotFoundError:
        return {}
    each = {name: (late - early) // (MANY - FEW) for name, early, late in zip(names, few, many, strict=True)}
    return {name: value - each["bare"] for name, value in each.items()}


def live_bytes(kind: str, names: Iterable[str], streams: int = 300) -> dict[str, float]:
    """Bytes that an open stream holds over bare, after 100 chunks."""
    held = {name: _held(kind, name, streams) for name in names}
    return {name: value - held["bare"] for name, value in held.items()}


def _held(kind: str, name: str, streams: int) -> float:
    wrap = KINDS[kind][name]
    app: Any = wrap(wsgi_app(1000) if kind == "wsgi" else asgi_app(1000))
    open_ones: list[Any] = []
    asked = [dict(environ() if kind == "wsgi" else scope()) for _ in range(streams + 1)]
    begin = _begin_wsgi if kind == "wsgi" else _begin_asgi
    open_ones.append(begin(app, asked.pop()))
    gc.collect()
    tracemalloc.start()
    try:
        open_ones += [begin(app, request) for request in asked]
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / streams
    finally:
        tracemalloc.stop()
        for each in open_ones:
            each[-1].close()


def _begin_wsgi(app: Any, request: dict[str, Any]) -> Any:
    result = app(request, lambda *head: None)
    blocks = iter(result)
    for _ in range(100):
        next(blocks)
    return blocks, result


class _Pause:
    """Suspends a coroutine for ever."""

    def __await__(self) -> Any:
        yield


def _begin_asgi(app: Any, request: dict[str, Any]) -> Any:
    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > 101:
            await _Pause()

    async def receive() -> Any:
        await _Pause()

    coroutine = app(request, receive, send)
    coroutine.send(None)
    return (coroutine,)
