"""Measures layers in this process and with callgrind: instructions, nanoseconds, microseconds and bytes.

All layers take turns in each round, and the shortest round counts, because other load on the machine can only add time.
Instruction counts do not depend on load. Real servers are in ``wire.py``.
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
from .subjects import SUBJECTS

CHUNKS = 10_000  # many, so that the warm-up after the previous layer does not count
RESPONSES = 200
FEW, MANY = 1000, 3000  # chunks in the two runs under callgrind


def available(protocol: str) -> list[str]:
    """The layers whose packages are installed."""
    found = []
    for name in SUBJECTS[protocol]:
        try:
            SUBJECTS[protocol][name](wsgi_app(1) if protocol == "wsgi" else asgi_app(1))
        except ImportError:
            continue
        found.append(name)
    return found


def needs_loop(protocol: str, name: str) -> bool:
    """True when the layer needs an event loop."""
    return protocol == "asgi" and name.endswith("via")


def over_bare(protocol: str, names: Iterable[str], rounds: int, chunks: int, times: int) -> dict[str, float]:
    """Seconds over bare for ``times`` responses. A layer that needs a loop is compared with bare in a loop."""

    def many(call: Callable[[], None]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(times):
                call()

        return calls

    names = list(names)
    calls = {name: many(runner(protocol, name, chunks, in_loop=needs_loop(protocol, name))) for name in names}
    if any(needs_loop(protocol, name) for name in names):
        calls["in a loop"] = many(runner(protocol, "bare", chunks, in_loop=True))
    found = least(calls, rounds)
    return {name: found[name] - found["in a loop" if needs_loop(protocol, name) else "bare"] for name in names}


def least(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The shortest time of each call in seconds, over rounds in which the calls take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - before)
    return best


def per_chunk(protocol: str, names: Iterable[str], rounds: int) -> dict[str, float]:
    """Nanoseconds per chunk over bare."""
    gc.disable()
    try:
        found = over_bare(protocol, names, rounds, CHUNKS, 1)
    finally:
        gc.enable()
    return {name: seconds / CHUNKS * 1e9 for name, seconds in found.items()}


def per_response(protocol: str, names: Iterable[str], rounds: int) -> dict[str, float]:
    """Microseconds per response of two chunks over bare."""
    return {
        name: seconds / RESPONSES * 1e6 for name, seconds in over_bare(protocol, names, rounds, 2, RESPONSES).items()
    }


def instructions(protocol: str, names: Iterable[str]) -> dict[str, int]:
    """Instructions per chunk over bare, counted by callgrind; empty when valgrind is not installed."""
    names = list(names)

    def count(name: str, chunks: int) -> int:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
        done = subprocess.run(
            [*command, "-m", "benchmarks.drive", protocol, name, str(chunks)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert found is not None, done.stderr
        return int(found[1])

    try:
        with ThreadPoolExecutor(2) as pool:
            few = list(pool.map(lambda name: count(name, FEW), names))
            many = list(pool.map(lambda name: count(name, MANY), names))
    except FileNotFoundError:
        return {}
    each = {name: (late - early) // (MANY - FEW) for name, early, late in zip(names, few, many, strict=True)}
    return {name: value - each["bare"] for name, value in each.items()}


def live_bytes(protocol: str, names: Iterable[str], streams: int = 300) -> dict[str, float]:
    """Bytes per open stream over bare, after 100 chunks."""
    held = {name: _held(protocol, name, streams) for name in names}
    return {name: value - held["bare"] for name, value in held.items()}


def _held(protocol: str, name: str, streams: int) -> float:
    wrap = SUBJECTS[protocol][name]
    app: Any = wrap(wsgi_app(1000) if protocol == "wsgi" else asgi_app(1000))
    open_streams: list[Any] = []
    requests = [dict(environ() if protocol == "wsgi" else scope()) for _ in range(streams + 1)]
    begin = _begin_wsgi if protocol == "wsgi" else _begin_asgi
    open_streams.append(begin(app, requests.pop()))
    gc.collect()
    tracemalloc.start()
    try:
        open_streams += [begin(app, request) for request in requests]
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / streams
    finally:
        tracemalloc.stop()
        for stream in open_streams:
            stream[-1].close()


def _begin_wsgi(app: Any, request: dict[str, Any]) -> Any:
    result = app(request, lambda *head: None)
    blocks = iter(result)
    for _ in range(100):
        next(blocks)
    return blocks, result


class _Pause:
    """Suspends a coroutine forever."""

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
