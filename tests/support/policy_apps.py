"""Apps under policies for the servers that the tests boot. Each path is ``/BEHAVIOR/VARIANT/ID?patience=SECONDS``.

An app waits where its reader must have read something (a file named after ID is the gate) and notes when it lost
patience: what arrives only after that note was held. VARIANT ``buffered`` puts a layer round the app that holds
everything, ``bare`` leaves the policy's share out. Loaded by name in another process.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from streamproof import wrap
from streamproof.sansio.flush import FlushPolicy
from tests.support.buffering import buffering_asgi, buffering_wsgi

TICK = 0.02  # seconds between two looks at a gate, and between two chunks
BEAT = 0.05  # seconds
TICKS = 75  # after which an app that never heard of its reader gives up: 1.5 s
EVENT = b"data: one\n\n"
LAST = b"data: last\n\n"
TINY = [b"data: %d\n\n" % number for number in range(12)]
HUGE = b"".join(b"data: line %05d\n\n" % number for number in range(4000))
MAX_SIZE = 8192

POLICIES: dict[str, FlushPolicy] = {
    "heartbeat": FlushPolicy(heartbeat=BEAT),
    "coalesce": FlushPolicy(max_delay=0.1, min_size=4096, align_to_boundaries=True),
    "split": FlushPolicy(max_size=MAX_SIZE, align_to_boundaries=True),
    "compress": FlushPolicy(compress=("gzip",)),
    "error": FlushPolicy(on_error="event"),
    "cut": FlushPolicy(on_error="cut"),
    "head": FlushPolicy(head_first=True),
    "leaves": FlushPolicy(heartbeat=BEAT, on_disconnect="raise"),
    "cancelled": FlushPolicy(on_disconnect="cancel"),
}
BARE = FlushPolicy(on_disconnect="ignore")


class Gate:
    """Where an app waits for its reader."""

    def __init__(self, path: str, query: str) -> None:
        _, self.behavior, self.variant, self.name = path.split("/")
        self._folder = Path(os.environ["GATES"])
        self._patience = int(float(parse_qs(query)["patience"][0]) / TICK)
        self._looks = 0

    def shut(self) -> bool:
        """Must the app wait on?"""
        if (self._folder / self.name).exists():
            return False
        self._looks += 1
        if self._looks > self._patience:
            self.note("held")
            return False
        return True

    def note(self, what: str) -> None:
        """Leave a word for the reader: ``held``, ``ended``, ``unaware``."""
        part = self._folder / f"{self.name}.part"
        part.write_text(repr(time.monotonic()))
        part.rename(self._folder / f"{self.name}.{what}")


def pieces(gate: Gate) -> Iterator[bytes | None]:
    """The chunks of a behavior; None is a pause of a tick."""
    match gate.behavior:
        case "coalesce":
            yield from TINY
        case "split":
            yield HUGE
        case "head":
            pass
        case "leaves" | "cancelled":
            yield EVENT
            for _ in range(TICKS):
                yield None
                yield b""
            gate.note("unaware")
            return
        case _:
            yield EVENT
    while gate.shut():
        yield None
    if gate.behavior in ("error", "cut"):
        raise RuntimeError("in the middle")
    yield LAST


HEADERS = [("Content-Type", "text/event-stream")]


def _plain_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", HEADERS)
    return _blocks(Gate(environ["PATH_INFO"], environ["QUERY_STRING"]))


def _blocks(gate: Gate) -> Iterator[bytes]:
    finished = False
    try:
        for piece in pieces(gate):
            if piece is None:
                time.sleep(TICK)
            else:
                yield piece
        finished = True
    finally:
        if not finished:
            gate.note("ended")


async def _plain_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Never calls receive()."""
    gate = Gate(scope["path"], scope["query_string"].decode())
    try:
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces(gate):
            if piece is None:
                await asyncio.sleep(TICK)
            else:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except BaseException:
        gate.note("ended")
        raise


def _variants(app: Any, buffering: Any) -> dict[tuple[str, str], Any]:
    made = {}
    for behavior, policy in POLICIES.items():
        made[behavior, "policy"] = wrap(app, policy=policy)
        made[behavior, "buffered"] = wrap(buffering(app), policy=policy)
        made[behavior, "bare"] = wrap(app, policy=BARE)
    return made


def _buffering_head_and_all(app: Any) -> Any:
    """``app`` with its body in one piece, and its head kept until then, too."""

    async def collected(scope: Any, receive: Any, send: Any) -> None:
        kept: list[Any] = []

        async def keep(message: Any) -> None:
            kept.append(message)
            if message["type"] == "http.response.body":
                for one in kept:
                    await send(one)

        await buffering_asgi(app)(scope, receive, keep)

    return collected


_WSGI = _variants(_plain_wsgi, buffering_wsgi)
_ASGI = _variants(_plain_asgi, _buffering_head_and_all)


def wsgi(environ: Any, start_response: Any) -> Any:
    """The app for WSGI servers."""
    path = environ["PATH_INFO"]
    if path.count("/") != 3:
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    _, behavior, variant, _ = path.split("/")
    return _WSGI[behavior, variant](environ, start_response)


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The app for ASGI servers."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    _, behavior, variant, _ = scope["path"].split("/")
    await _ASGI[behavior, variant](scope, receive, send)
