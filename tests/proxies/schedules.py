"""A schedule: what the origin writes and when, and how the reader asks.

Knows one response and nothing of the proxies between. Times are seconds, sizes bytes of the body. What is in which
schedule and why is in :mod:`tests.proxies.suite`.

Writes are either in one system call (``head_with_first``, ``end_with_last``) or far enough apart that no hop reads two
of them together: what the kernel would sometimes merge and sometimes not is nothing to hold a prediction against.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamproof.sansio.http import Framing, Headers
from streamproof.sansio.trace import How, Request

from .bodies import CONTENT_TYPES, Kind, body

#: Seconds between two writes that no burst of arrivals may join: well over what the comparison merges.
APART = 0.02

#: Body bytes that an origin names in Content-Length and never sends when it dies.
NEVER_SENT = 1000


@dataclass(frozen=True, slots=True)
class Write:
    """``size`` body bytes in one system call, ``after`` seconds after the write before it."""

    size: int
    after: float = APART


@dataclass(frozen=True, slots=True)
class Schedule:
    """One response and the request for it.

    ``headers`` are fields beside the usual ones. ``head_after`` is the silence before the head, ``end_after`` the one
    before the end. ``dies``: the origin closes its socket (fin) or resets it (rst) instead of ending the body; with
    ``headless`` it does so before the head.
    """

    name: str
    writes: tuple[Write, ...] = ()
    framing: Framing = "chunked"
    kind: Kind = "text"
    status: int = 200
    headers: Headers = ()
    head_after: float = 0.0
    head_with_first: bool = False
    end_after: float = 0.03
    end_with_last: bool = False
    dies: How | None = None
    headless: bool = False
    method: str = "GET"
    http_version: str = "1.1"
    gzip: bool = False

    @property
    def size(self) -> int:
        """Body bytes in all."""
        return sum(write.size for write in self.writes)

    @property
    def largest(self) -> int:
        """Body bytes of the largest write."""
        return max((write.size for write in self.writes), default=0)

    @property
    def seconds(self) -> float:
        """How long the origin takes."""
        return self.head_after + sum(write.after for write in self.writes) + self.end_after

    @property
    def body(self) -> bytes:
        """The bytes of the body."""
        return body(self.kind, self.size)

    def fields(self, framing: Framing) -> Headers:
        """The head's fields when the body is framed so, those of the connection left out."""
        out = [("Server", "origin"), ("Date", "Sat, 21 Nov 2026 00:00:00 GMT")]
        if self.status not in (204, 304):
            out.append(("Content-Type", CONTENT_TYPES[self.kind]))
            if framing == "chunked":
                out.append(("Transfer-Encoding", "chunked"))
            elif framing == "length":
                out.append(("Content-Length", str(self.size + (NEVER_SENT if self.dies else 0))))
        return (*out, *self.headers)

    def request(self, target: str, http_version: str | None = None) -> Request:
        """What the reader asks with, in ``http_version`` when its connection speaks another one than the schedule's."""
        headers: Headers = (("Host", "origin.test"), ("User-Agent", "reader"), ("Accept", "*/*"))
        if self.gzip:
            headers = (*headers, ("Accept-Encoding", "gzip"))
        return Request(self.method, target, http_version or self.http_version, headers)

    def named(self, suffix: str, **changes: object) -> Schedule:
        """This schedule with changes, its name extended."""
        return replace(self, name=f"{self.name}-{suffix}", **changes)  # type: ignore[arg-type]  # checked by replace


def evenly(count: int, size: int, every: float = APART) -> tuple[Write, ...]:
    """``count`` writes of ``size`` bytes, one each ``every`` seconds."""
    return (Write(size, every),) * count


def sizes(*each: int, every: float = APART) -> tuple[Write, ...]:
    """One write per size, one each ``every`` seconds."""
    return tuple(Write(size, every) for size in each)


def at_random(seed: int, framings: Sequence[Framing] = ("chunked", "close", "length")) -> Schedule:
    """A schedule of its own for each seed: sizes from one byte to some blocks, gaps from 15 to 90 ms."""
    choose = random.Random(f"schedule {seed}")
    writes = tuple(
        Write(int(2 ** choose.uniform(0, choose.choice((6, 10, 12, 14, 16)))), choose.uniform(0.015, 0.05))
        for _ in range(choose.randint(4, 11))
    )
    if choose.random() < 0.3:
        index = choose.randrange(len(writes))
        writes = (*writes[:index], Write(writes[index].size, 0.09), *writes[index + 1 :])
    kinds: tuple[Kind, ...] = ("text", "csv", "json", "sse", "binary")
    schedule = Schedule(
        f"random-{seed}",
        writes,
        choose.choice(framings),
        choose.choice(kinds),
        head_with_first=choose.random() < 0.3,
        end_with_last=choose.random() < 0.3,
        gzip=choose.random() < 0.4,
    )
    if choose.random() < 0.15:
        schedule = replace(schedule, headers=(("X-Accel-Buffering", "no"),))
    return schedule
