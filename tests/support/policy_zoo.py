"""Exhibits of the zoo under a policy, for servers that load an app by its name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from demo_apps.zoo.blocking_async_generator import app as _blocking
from streamproof import wrap
from streamproof.sansio.flush import FlushPolicy

PAUSE = 0.08  # seconds; longer than what a verdict calls prompt

gives_way = wrap(_blocking, policy=FlushPolicy())
keeps_going = wrap(_blocking, policy=FlushPolicy(yield_to_loop=False))


def _text(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/ready":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        return [b"ready\n"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _lines()


def _lines() -> Iterator[bytes]:
    for number in range(4):
        yield b"line %d\n" % number
        time.sleep(PAUSE)


plain_text = _text
flushed_text = wrap(_text, policy=FlushPolicy())
