"""ASGI situations seen from outside only: of an app, and of a bridge from a WSGI app of ours to an ASGI server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import _contract_wsgi as wsgi
from ._contract_asgi import ENDS_WITHIN, MOST, Make, Situation, ask, end, read, run
from .errors import BrokenResponse


def of_bridge(make: Make) -> Iterator[Situation]:
    """The situations for a bridge from a WSGI app to an ASGI server."""
    yield "each chunk leaves before the next is made", run(_bridge_streams, make)
    yield "left in mid-stream", run(_bridge_ends, make, 1)
    yield "read to the end", run(_bridge_ends, make, MOST)
    yield "the app raises in mid-stream", run(_bridge_raises, make)


def of_app(app: Any, target: str) -> Iterator[Situation]:
    """The situations for an app, as far as they show from outside."""
    yield "left before the head", run(_app_left, app, target, None)
    yield "left in mid-stream", run(_app_left, app, target, 1)
    yield "read to the end", run(_app_left, app, target, MOST)
    yield "the server stops in mid-stream", run(_app_stops, app, target)
    yield "HEAD", run(_app_left, app, target, 0, "HEAD")


async def _bridge_streams(make: Make) -> list[str]:
    probe = wsgi.Probe()
    exchange = ask(make(probe))
    await exchange.head()
    most = count = 0
    while await exchange.read() is not None:
        count += 1
        most = max(most, probe.produced - count)
    await end(exchange)
    # The app has a thread of its own there, and may be one chunk ahead of what left.
    return [f"the app made {most + 1} chunks before one left ({probe.produced} became {count})"] if most > 1 else []


async def _bridge_ends(make: Make, chunks: int) -> list[str]:
    probe = wsgi.Probe()
    exchange = ask(make(probe))
    await read(exchange, chunks)
    await exchange.close()
    await exchange.until_done(ENDS_WITHIN)
    faults = list(wsgi._closed_once(probe))
    await exchange.cancel()
    return faults


async def _bridge_raises(make: Make) -> list[str]:
    probe = wsgi.Probe(raises=wsgi.Dry("in mid-stream"))
    exchange = ask(make(probe))
    faults = []
    try:
        await read(exchange, MOST)
        faults.append("what the app raised was swallowed: the response looks complete")
    except wsgi.Dry:
        pass
    await end(exchange)
    return [*faults, *wsgi._closed_once(probe)]


async def _app_left(app: Any, target: str, chunks: int | None, method: str = "GET") -> list[str]:
    exchange = ask(app, method, target)
    try:
        if chunks is not None:
            await read(exchange, chunks)
        await exchange.close()
    except BrokenResponse as error:
        return [str(error)]
    await exchange.until_done(ENDS_WITHIN)
    faults = [] if exchange.app_done else ["http.disconnect was sent, and the app works on"]
    await exchange.cancel()
    return faults


async def _app_stops(app: Any, target: str) -> list[str]:
    exchange = ask(app, "GET", target)
    await read(exchange, 1)
    await exchange.cancel()
    return [] if exchange.app_done else ["cancelled, the app works on"]
