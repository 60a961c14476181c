"""Join tiny chunks and split huge ones, on request at boundaries of the body.

No byte waits longer than ``max_delay`` seconds. A chunk after a pause leaves at once. A chunk that follows closely
waits until ``min_size`` bytes are there, or ``max_delay`` after the last write. ``framing.py`` finds the boundaries.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..framing import Ends, Scanner
from ..machine import Cut, Data, End, Event, Events, Stage

_AGES = 1e-9  # seconds; sums of times differ in the last bit, and a wake must find what it was set for


@dataclass(frozen=True, slots=True)
class Pace:
    """``min_size`` in bytes, 0 to wait for time alone; ``max_delay`` in seconds, 0 to hold nothing.

    ``max_size`` in bytes, 0 for no limit; ``ends`` are the boundaries to keep, ``nowhere`` for none.
    """

    min_size: int = 0
    max_delay: float = 0.0
    max_size: int = 0
    ends: Ends = "nowhere"

    def start(self) -> Stage:
        """The pace of one response."""
        return _Pace(self)


class _Pace(Stage):
    def __init__(self, settings: Pace) -> None:
        self._settings = settings
        self._scanner = Scanner(settings.ends)
        self._pieces: list[bytes] = []
        self._size = 0
        self._marks: list[int] = []  # boundaries, as offsets into what is held
        self._arrivals: deque[tuple[float, int]] = deque()  # when, and how much was held then
        self._left_at: float | None = None

    @property
    def held(self) -> int:
        return self._size

    def data(self, event: Data, now: float) -> Events:
        settings = self._settings
        data = bytes(event.data)
        if not data:
            return (event,)
        found = self._scanner.find(data)
        if not settings.max_delay:
            return list(self._split(data, found))
        self._marks += [self._size + offset for offset in found]
        self._pieces.append(data)
        self._size += len(data)
        self._arrivals.append((now, self._size))
        rested = self._left_at is None or now - self._left_at >= settings.max_delay - _AGES
        if rested or (settings.min_size and self._size >= settings.min_size):
            return self._release(self._whole(), now)
        self._arm()
        return ()

    def wake(self, now: float) -> Events:
        """What is overdue leaves, and what lies before the last boundary with it."""
        overdue = 0
        for arrived, held in self._arrivals:
            if arrived + self._settings.max_delay <= now + _AGES:
                overdue = held
        return self._release(max(self._whole(), overdue), now)

    def end(self, event: End, now: float) -> Events:
        return [*self._release(self._size, now), event]

    def cut(self, event: Cut, now: float) -> Events:
        out = () if event.discard else self._release(self._size, now)
        self.deadline = None
        return [*out, event]

    def _whole(self) -> int:
        """Bytes up to the last boundary, or all where no boundary counts."""
        if self._settings.ends == "nowhere":
            return self._size
        return self._marks[-1] if self._marks else 0

    def _release(self, count: int, now: float) -> Events:
        if not count:
            self._arm()
            return ()
        joined = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        out, rest = joined[:count], joined[count:]
        keep = bisect_right(self._marks, count)
        leaving, self._marks = self._marks[:keep], [mark - count for mark in self._marks[keep:]]
        self._arrivals = deque((at, held - count) for at, held in self._arrivals if held > count)
        self._pieces, self._size = [rest] if rest else [], len(rest)
        self._left_at = now
        self._arm()
        return list(self._split(out, leaving))

    def _arm(self) -> None:
        """The next deadline: a byte waits at most ``max_delay``, a whole event at most that after the last write."""
        if not self._arrivals:
            self.deadline = None
            return
        since = self._arrivals[0][0]
        if self._whole() and self._left_at is not None:
            since = min(since, self._left_at)
        self.deadline = since + self._settings.max_delay

    def _split(self, data: bytes, marks: Sequence[int]) -> Iterator[Event]:
        limit = self._settings.max_size
        if not limit or len(data) <= limit:
            yield Data(data)
            return
        start = 0
        while len(data) - start > limit:
            index = bisect_right(marks, start + limit) - 1
            stop = marks[index] if index >= 0 and marks[index] > start else start + limit
            yield Data(data[start:stop])
            start = stop
        yield Data(data[start:])
