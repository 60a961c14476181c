"""Find the layer inside an app that takes chunks and lets none out: :class:`Watch`.

A tap saw ``hold_limit`` chunks since the middleware last saw one: that needs no clock, and holds for layers that change
the bytes. Layers whose inside has no tap are not seen. The taps themselves are in ``taps.py``.
"""

from __future__ import annotations

from collections import Counter

from ..sansio.errors import StreamProofError
from ..sansio.findings import Finding
from ..sansio.flush.policy import OnHold
from .recording import clock, log

KEY = "streamproof.taps"

#: How many responses each tap found held, by its name (policy ``on_hold="count"``, and every other).
holds: Counter[str] = Counter()

#: Has a tap been made in this process? Without one, the middleware leaves environ and scope alone.
made = False


class HeldInside(StreamProofError):
    """A layer inside the app holds chunks; ``finding`` says which."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Watch:
    """What the taps of one response saw go in, and that it came out."""

    def __init__(self, on_hold: OnHold, limit: int) -> None:
        self._on_hold, self._limit = on_hold, limit
        self._inside: dict[str, list[int]] = {}
        self._told: set[str] = set()
        self._since: float | None = None  # the oldest chunk inside
        self._longest = 0.0

    def took(self, name: str, size: int) -> None:
        """A chunk went into the layers round the tap ``name``. Raises HeldInside when the policy says so."""
        if self._since is None:
            self._since = clock()
        waiting = self._inside.setdefault(name, [])
        waiting.append(size)
        if len(waiting) >= self._limit and name not in self._told:
            self._told.add(name)
            self._found(name, waiting)

    def came_out(self) -> None:
        """A chunk left the app as a whole."""
        self._longest, self._since = self.longest_hold(), None
        for waiting in self._inside.values():
            waiting.clear()

    def longest_hold(self) -> float:
        """The longest that a chunk was inside before anything came out, until now; seconds."""
        return self._longest if self._since is None else max(self._longest, clock() - self._since)

    def _found(self, name: str, waiting: list[int]) -> None:
        finding = Finding(
            "SP401",
            "held-inside",
            f"{len(waiting)} chunks ({sum(waiting)} B) left the tap {name!r}, and none left the app",
            "Does a middleware round it compress without flushing, or collect the body?",
            len(waiting),
            self._limit,
        )
        tell(finding, self._on_hold, name)


def tell(finding: Finding, on_hold: OnHold, name: str) -> None:
    """Do what the policy says with ``finding``, made at ``name``. Raises HeldInside for ``raise``."""
    holds[name] += 1
    if callable(on_hold):
        on_hold(finding)
    elif on_hold == "log":
        log.warning("%s", finding)
    elif on_hold == "raise":
        raise HeldInside(finding)
