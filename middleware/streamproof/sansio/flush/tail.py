"""The end of what has left so far: its last bytes, and when. Heartbeats and failure events may be added there.

What a boundary is, ``framing.py`` knows. A driver may report a chunk here alone when no stage of a policy changes it
(:attr:`~.policy.FlushMachine.passes`).
"""

from __future__ import annotations

from ..framing import Ends, Scanner
from ..machine import Data, Events, Stage


class Tail(Stage):
    """The last bytes of one body, and when they left. Passes everything on."""

    __slots__ = ("_scanner", "last_at")

    def __init__(self, ends: Ends) -> None:
        self._scanner = Scanner(ends)
        #: When the last byte left, seconds on the driver's clock; None while no heartbeat may follow.
        self.last_at: float | None = None

    def saw(self, data: bytes | memoryview, now: float) -> None:
        """Note that ``data``, which is not empty, left at ``now``."""
        self._scanner.see(data)
        self.last_at = now

    def unsure(self) -> None:
        """Note that some bytes may have left or not: nothing may be added until the next boundary."""
        self._scanner.unsure()

    @property
    def at_boundary(self) -> bool:
        """May bytes be added after what has left?"""
        return self._scanner.at_boundary

    def data(self, event: Data, now: float) -> Events:
        if event.data:
            self.saw(event.data, now)
        return (event,)
