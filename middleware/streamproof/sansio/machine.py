"""The contract of every timed machine, and its events.

A machine is the state of one response. The driver passes the time in; a machine never reads a clock:

- ``receive(event, now)`` takes one event and returns the events that leave because of it;
- ``deadline`` is when it next wants to be woken (seconds, absolute, on the driver's clock), or None;
- ``wake(now)`` wakes it at or after that deadline and returns the events that leave.

The verbs are h11's, the timer is aioquic's. Invariants, held by the property tests: no byte is lost, added, reordered
or early; after ``wake(now)`` the deadline is later than ``now`` or None; after an :class:`End` or a :class:`Cut` has
left nothing more leaves.

Nothing here parses HTTP. Events are what a parser would report, and carry the number of framing bytes around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from .http import Framing, Headers, chunk_overhead, head_size
from .trace import How, Request


class Head(NamedTuple):
    """The response head as it is on the wire of this leg: ``size`` counts its bytes there.

    ``own``: the hop answers itself, so its header rules do not apply.
    """

    status: int
    headers: Headers
    framing: Framing
    size: int
    own: bool = False

    def replace(self, headers: Headers, *, status: int | None = None, framing: Framing | None = None) -> Head:
        """This head with other fields, its size counted again."""
        code = self.status if status is None else status
        return Head(code, headers, framing or self.framing, head_size(code, headers), self.own)


class Data(NamedTuple):
    """Bytes of the body that are on the wire together.

    ``lead`` and ``tail`` count framing bytes before and after them (a chunk's size line, its CRLF), ``rest`` the body
    bytes of the same wire chunk that are still to come.
    """

    data: bytes | memoryview
    lead: int = 0
    tail: int = 0
    rest: int = 0


class End(NamedTuple):
    """The body is complete; ``tail`` counts framing bytes that said so (``0 CRLF CRLF``)."""

    tail: int = 0


class Cut(NamedTuple):
    """The response ended before it was complete: by FIN or RST, by whom and why.

    ``own``: this hop did it, and not its upstream. ``discard``: bytes held further down in the hop are lost with it (a
    timeout does that in nginx). Neither leaves the hop.
    """

    how: How = "fin"
    by: str | None = None
    reason: str | None = None
    own: bool = False
    discard: bool = False


Event: TypeAlias = Head | Data | End | Cut
Events: TypeAlias = Sequence[Event]


class Machine(Protocol):
    """The four members that every driver uses."""

    @property
    def deadline(self) -> float | None:
        """When it next wants to be woken."""
        ...

    def receive(self, event: Event, now: float) -> Events:
        """Take ``event`` at ``now``; return what leaves."""
        ...

    def wake(self, now: float) -> Events:
        """The deadline has come; return what leaves."""
        ...


class StageSettings(Protocol):
    """Frozen settings of one behavior; ``start`` makes the machine of one response, asked for at ``now``.

    Settings may have attributes that :class:`~.hop.Rule` reads: ``timed``, ``cuts``, ``tls``; without them, false.
    """

    def start(self, request: Request, now: float) -> Stage: ...


class Stage:
    """One behavior of a hop, for one response. This base class passes everything on.

    A subclass overrides what it cares about. ``transparent`` says that from now on this stage passes every event
    unchanged and has no deadline, so a row may leave it out. ``needs_data`` says that it works on the bytes themselves,
    so a trace without data is not enough.
    """

    __slots__ = ()

    deadline: float | None = None
    transparent: bool = False
    needs_data: bool = False

    def receive(self, event: Event, now: float) -> Events:
        """Hand ``event`` to the method for its kind."""
        return _METHODS[type(event)](self, event, now)

    def head(self, event: Head, now: float) -> Events:
        """The head came."""
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        """Bytes came."""
        return (event,)

    def end(self, event: End, now: float) -> Events:
        """The body is complete."""
        return (event,)

    def cut(self, event: Cut, now: float) -> Events:
        """The upstream side ended it."""
        return (event,)

    def wake(self, now: float) -> Events:
        """The deadline has come. Only a stage that sets one is called."""
        return ()

    @property
    def held(self) -> int:
        """Body bytes that are inside this stage right now."""
        return 0


_METHODS: dict[type, Callable[..., Events]] = {
    Head: lambda stage, event, now: stage.head(event, now),
    Data: lambda stage, event, now: stage.data(event, now),
    End: lambda stage, event, now: stage.end(event, now),
    Cut: lambda stage, event, now: stage.cut(event, now),
}


def framed(data: bytes | memoryview, framing: Framing) -> Data:
    """``data`` as one write in this framing: one chunk when it is chunked."""
    if framing != "chunked":
        return Data(data)
    return Data(data, chunk_overhead(len(data)) - 2, 2)


class Row:
    """Machines in a row that look like one: what leaves one enters the next."""

    __slots__ = ("_machines", "_readers")

    def __init__(self, machines: Sequence[Stage]) -> None:
        self._machines = list(machines)
        self._find_readers()

    def _find_readers(self) -> None:
        """Which machines look at bytes at all? The hot path leaves out the others."""
        self._readers = [
            (index, machine)
            for index, machine in enumerate(self._machines)
            if type(machine).data is not Stage.data or type(machine).receive is not Stage.receive
        ]

    @property
    def machines(self) -> Sequence[Stage]:
        """The machines that still do something, upstream first."""
        return self._machines

    @property
    def deadline(self) -> float | None:
        """The earliest deadline inside."""
        earliest: float | None = None
        for machine in self._machines:
            deadline = machine.deadline
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    @property
    def held(self) -> int:
        """Body bytes inside right now."""
        return sum(machine.held for machine in self._machines)

    def receive(self, event: Event, now: float) -> Events:
        """Send ``event`` through the row."""
        if type(event) is not Data:
            return self._push(0, (event,), now)
        events: Events = (event,)
        for index, machine in self._readers:
            events = machine.receive(events[0], now)
            if len(events) != 1 or type(events[0]) is not Data:
                return self._push(index + 1, events, now) if events else ()
        return events

    def wake(self, now: float) -> Events:
        """Wake every machine whose deadline has come, upstream first."""
        out: list[Event] = []
        for machine in tuple(self._machines):
            if machine.deadline is not None and machine.deadline <= now and machine in self._machines:
                out += self._push(self._machines.index(machine) + 1, machine.wake(now), now)
        return out

    def prune(self) -> None:
        """Leave out the machines that have become transparent."""
        self._machines = [machine for machine in self._machines if not machine.transparent]
        self._find_readers()

    def _push(self, start: int, events: Events, now: float) -> Events:
        for machine in self._machines[start:] if start else self._machines:
            if len(events) == 1:
                events = machine.receive(events[0], now)
            elif events:
                events = [left for event in events for left in machine.receive(event, now)]
            else:
                break
        return events
