"""The bytes that schedules send: deterministic, compressible or not, of the kinds that apps stream.

Knows content types. Does not know how a body is cut into writes: a schedule takes as many bytes as it needs, so a
line or an event may be cut anywhere, as it is in real life.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Literal

Kind = Literal["text", "csv", "json", "sse", "binary"]

CONTENT_TYPES: dict[Kind, str] = {
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv",
    "json": "application/json",
    "sse": "text/event-stream",
    "binary": "application/octet-stream",
}

_LONGEST = 1 << 20  # bytes; no schedule sends more
_WORDS = (
    "the",
    "reader",
    "waits",
    "while",
    "a",
    "hop",
    "keeps",
    "what",
    "the",
    "app",
    "has",
    "long",
    "let",
    "go",
    "of",
)


def body(kind: Kind, size: int) -> bytes:
    """The first ``size`` bytes of the body of this kind."""
    whole = _whole(kind)
    if size > len(whole):
        raise ValueError(f"A body of {size} bytes was asked for, and no schedule sends more than {len(whole)}.")
    return whole[:size]


@cache
def _whole(kind: Kind) -> bytes:
    if kind == "binary":
        return random.Random("incompressible").randbytes(_LONGEST)
    out = bytearray()
    for piece in _PIECES[kind]():
        out += piece
        if len(out) >= _LONGEST:
            break
    return bytes(out[:_LONGEST])


def _text() -> Iterator[bytes]:
    choose = random.Random("text")
    while True:
        yield " ".join(choose.choices(_WORDS, k=12)).capitalize().encode() + b".\n"


def _csv() -> Iterator[bytes]:
    choose = random.Random("csv")
    yield b"id,sensor,value,state\r\n"
    for number in count():
        yield b"%d,probe-%d,%.3f,%s\r\n" % (
            number,
            choose.randrange(9),
            choose.uniform(0, 100),
            choose.choice((b"ok", b"late")),
        )


def _json() -> Iterator[bytes]:
    choose = random.Random("json")
    for number in count():
        yield json.dumps({"id": number, "token": choose.choice(_WORDS), "score": choose.random()}).encode() + b"\n"


def _sse() -> Iterator[bytes]:
    choose = random.Random("sse")
    for number in count():
        yield b"id: %d\ndata: %s\n\n" % (number, choose.choice(_WORDS).encode())


_PIECES: dict[Kind, Callable[[], Iterator[bytes]]] = {"text": _text, "csv": _csv, "json": _json, "sse": _sse}
