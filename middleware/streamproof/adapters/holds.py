"""Find the layer inside an app that takes chunks and lets none out: :class:`Watch`.

A layer holds if a tap saw ``hold_limit`` chunks since the middleware last saw one. This needs no clock and works for
layers that change the bytes. A layer without a tap inside it is not seen. The taps are in ``taps.py``.
"""

from __future__ import annotations

from collections import Counter

from ..sansio.errors import StreamProofError
from ..sansio.findings import Finding
from ..sansio.flush.policy import OnHold
from .recording import clock, log

KEY = "streamproof.taps"

#: How many responses each tap found held, by the tap's name. Counted for every ``on_hold`` of a policy.
holds: Counter[str] = Counter()

#: Whether this process has made a tap. Without one, the middlewares do not change environ and scope.
made = False


class HeldInside(StreamProofError):
    """A layer inside the app holds chunks. ``finding`` names it."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Watch:
    """Compare what the taps of one response saw go in with what came out of the app."""

    def __init__(self, on_hold: OnHold, limit: int) -> None:
        self._on_hold, self._limit = on_hold, limit
        self._inside: dict[str, list[int]] = {}
        self._reported: set[str] = set()
        self._since: float | None = None  # the oldest chunk inside
        self._longest = 0.0

    def took(self, name: str, size: int) -> None:
        """Count a chunk that went into the layers around the tap ``name``. Raises HeldInside if the policy says so."""
        if self._since is None:
            self._since = clock()
        waiting = self._inside.setdefault(name, [])
        waiting.append(size)
        if len(waiting) >= self._limit and name not in self._reported:
            self._reported.add(name)
            self._found(name, waiting)

    def came_out(self) -> None:
        """Record that a chunk left the outermost layer of the app."""
        self._longest, self._since = self.longest_hold(), None
        for waiting in self._inside.values():
            waiting.clear()

    def longest_hold(self) -> float:
        """Return the longest time until now that a chunk was inside before anything came out, seconds."""
        return self._longest if self._since is None else max(self._longest, clock() - self._since)

    def _found(self, name: str, waiting: list[int]) -> None:
        finding = Finding(
            "SP401",
            "held-inside",
            f"{len(waiting)} chunks ({sum(waiting)} B) left the tap {name!r}, and none left the app",
            "Does a middleware around it compress without flushing, or collect the body?",
            len(waiting),
            self._limit,
        )
        report(finding, self._on_hold, name)


def report(finding: Finding, on_hold: OnHold, name: str) -> None:
    """Report ``finding``, made at ``name``, as the policy's ``on_hold`` says. Raises HeldInside for ``raise``."""
    holds[name] += 1
    if callable(on_hold):
        on_hold(finding)
    elif on_hold == "log":
        log.warning("%s", finding)
    elif on_hold == "raise":
        raise HeldInside(finding)
