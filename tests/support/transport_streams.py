"""What the apps of the transports' tests send, and loops to read it in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from streamproof.testing.clocks import VirtualLoop

from .testing_apps import ASGIStream, WSGIStream, need

KINDS = [WSGIStream, ASGIStream]
CHUNKS = [b"chunk %d\n" % number for number in range(1, 6)]
URL = "http://testserver/"


def on_asyncio(main: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())  # type: ignore[arg-type]


def on_trio(main: Callable[[], Awaitable[None]]) -> None:
    need("trio")
    import trio.testing

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
