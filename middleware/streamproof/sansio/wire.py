"""A queue of events counted in bytes on the wire, for hops that hold by size.

The head and the framing bytes take room, too.
"""

from __future__ import annotations

from collections import deque

from .machine import Data, Event, Head


def wire_size(event: Event) -> int:
    """Bytes that ``event`` takes on the wire."""
    if type(event) is Data:
        return event.lead + len(event.data) + event.tail
    if type(event) is Head:
        return event.size
    return getattr(event, "tail", 0)


class WireQueue:
    """Head and data events, first in first out, taken by wire bytes. A head leaves when its last byte does."""

    __slots__ = ("_events", "_taken", "size")

    def __init__(self) -> None:
        self._events: deque[Head | Data] = deque()
        self._taken = 0  # bytes of the first event that have left already (only a head leaves late)
        self.size = 0

    def put(self, event: Head | Data) -> None:
        """Add ``event`` at the end."""
        self._events.append(event)
        self.size += wire_size(event)

    @property
    def body_bytes(self) -> int:
        """Body bytes inside."""
        return sum(len(event.data) for event in self._events if type(event) is Data)

    def take(self, count: int) -> list[Event]:
        """Remove ``count`` wire bytes and return what the next hop can read now. Splits data where the count ends."""
        out: list[Event] = []
        self.size -= count
        while count > 0:
            event = self._events[0]
            left = wire_size(event) - self._taken
            if count >= left:
                count -= left
                self._taken = 0
                out.append(self._events.popleft())
            elif type(event) is Data:
                piece, self._events[0] = _split(event, count)
                out.append(piece)
                count = 0
            else:
                self._taken += count
                count = 0
        return out

    def take_all(self) -> list[Event]:
        """Remove everything."""
        out: list[Event] = list(self._events)
        self._events.clear()
        self._taken = self.size = 0
        return out

    def drop(self) -> list[Event]:
        """Discard the data; the head still leaves."""
        head: list[Event] = [event for event in self._events if type(event) is Head]
        self.take_all()
        return head


def _split(event: Data, count: int) -> tuple[Data, Data]:
    """``event`` cut after ``count`` wire bytes."""
    data, lead, tail, rest = event
    if count <= lead:
        return Data(b"", count, 0, len(data) + rest), Data(data, lead - count, tail, rest)
    inside = count - lead
    if inside <= len(data):
        return Data(data[:inside], lead, 0, len(data) - inside + rest), Data(data[inside:], 0, tail, rest)
    return Data(data, lead, inside - len(data), rest), Data(b"", 0, tail - (inside - len(data)), rest)
