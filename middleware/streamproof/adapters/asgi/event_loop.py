"""Turns of the event loop: an app that never gives way is made to, and one that blocks the loop is found.

Knows asyncio. A send that had to wait has given way by itself; :class:`Noticing` tells. Does not know messages.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ...sansio.findings import Finding
from ...sansio.flush.policy import OnHold
from .. import holds
from ..recording import clock, log

#: Turns that a chunk needs to leave a server that writes when its socket is ready (Daphne): in the first the loop asks
#: whether it is, and what it then does comes after the tasks that were waiting already.
_TURNS = 2

#: Seconds without a turn that are worth a word: what asyncio itself calls a slow callback (``slow_callback_duration``).
_SLOW = 0.1


_warned = False


def in_asyncio() -> bool:
    """Is it asyncio's loop that runs us? Hypercorn can run trio's, and a policy needs timers and tasks."""
    global _warned
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not _warned:
            log.warning("A flush policy needs asyncio, and another event loop runs this app: it is served as it is.")
            _warned = True
        return False
    return True


async def give_way() -> None:
    """Let everything else that is ready run, and what the server has to write leave."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class LoopWatch:
    """Finds the app that keeps the event loop from turning between two of its chunks. Says so once a response."""

    def __init__(self, on_hold: OnHold) -> None:
        self._on_hold = on_hold
        self._left_at = 0.0
        self._turned = True

    def chunk_left(self) -> None:
        """The app goes on: does the loop turn before its next chunk?"""
        if self._left_at < 0:
            return
        self._turned, self._left_at = False, clock()
        asyncio.get_running_loop().call_soon(self._turn)

    def chunk_came(self) -> None:
        """The next one is here. Raises HeldInside when the policy says so."""
        if self._turned or (blocked := clock() - self._left_at) < _SLOW:
            return
        self._turned, self._left_at = True, -1.0
        hint = "Does it sleep or compute in an async function? Every other reader waits meanwhile."
        text = f"the app kept the event loop from running for {blocked:.3f} s between two chunks"
        holds.tell(Finding("SP402", "blocked-loop", text, hint, blocked, _SLOW), self._on_hold, "event loop")

    def _turn(self) -> None:
        self._turned = True


class Noticing:
    """Awaits something for somebody, and notices whether that had to wait."""

    __slots__ = ("_steps", "waited")

    def __init__(self, awaitable: Any) -> None:
        self._steps: Any = awaitable.__await__()
        self.waited = False

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        step = next(self._steps)
        self.waited = True
        return step

    def send(self, value: Any) -> Any:
        """What the loop has for the awaited."""
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """What the loop throws at the awaited."""
        return self._steps.throw(*error)

    def close(self) -> None:
        """Give the awaited up."""
        self._steps.close()
