"""The trace of a response under test: its budgets, the hops it must survive, and how to get it from a response.

The recording itself is in ``sansio``; the text of a failure is in ``failure_report.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from ..sansio.findings import Budget, Finding, examine
from ..sansio.trace import Trace

if TYPE_CHECKING:
    from ..profiles import Profile, Via


@dataclass(frozen=True, slots=True)
class Within:
    """The result of :meth:`RecordedTrace.within`: true if no budget was exceeded. Its repr names those that were."""

    findings: tuple[Finding, ...]

    def __bool__(self) -> bool:
        return not self.findings

    def __repr__(self) -> str:
        if not self.findings:
            return "within its budget"
        return "over its budget: " + "; ".join(map(str, self.findings))


@dataclass(frozen=True, repr=False)
class RecordedTrace(Trace):
    """The trace of what the app produced in a test. ``delivery`` is what the reader received, behind ``via`` if any."""

    delivery: Trace | None = field(default=None, repr=False)
    via: str | None = None

    def __repr__(self) -> str:
        stats = self.stats
        return f"<RecordedTrace {stats.chunks} chunks, {stats.bytes} B in {self.end.at:.2f} s, {self.outcome}>"

    @classmethod
    def of(cls, trace: Trace, *, delivery: Trace | None = None, via: str | None = None) -> Self:
        """``trace`` with the methods for tests."""
        parts = {entry.name: getattr(trace, entry.name) for entry in fields(Trace)}
        return cls(**parts, delivery=delivery, via=via)

    def within(
        self,
        *,
        first_byte: float | None = None,
        max_silence: float | None = None,
        max_hold: float | None = None,
        min_bursts: int | None = None,
        max_backpressure: float | None = None,
        closes_within: float | None = None,
    ) -> Within:
        """Did the reader get it within these limits (seconds; bursts)? True or false, and its repr says why.

        Only overrun budgets count here; :func:`streamproof.examine` names the other faults, too. Raises
        ConfigurationError for a limit that cannot be used.
        """
        budget = Budget(first_byte, max_silence, max_hold, min_bursts, max_backpressure, closes_within)
        seen = self if self.delivery is None else self.delivery
        # What downstream made a chunk wait for is known on the app's side only.
        found = [
            *(item for item in examine(seen, budget, production=self) if item.code != "SP103"),
            *(item for item in examine(self, budget) if item.code == "SP103"),
        ]
        return Within(tuple(item for item in found if item.code.startswith("SP1")))

    def assert_survives(self, *vias: str | Profile | Via) -> None:
        """Raise AssertionError, with timeline, rule and cure, when the stream dies behind one of ``vias``.

        The recording is replayed: the app does not run again. Raises ConfigurationError for a via that is none.
        """
        __tracebackhide__ = True
        from ..analysis.diagnosis import diagnose
        from .failure_report import not_survived

        for via in vias:
            seen = diagnose(self, via)
            if not seen.verdict.healthy:
                raise AssertionError(not_survived(self, seen))


_listeners: list[Callable[[RecordedTrace], None]] = []


#: The latest recordings, for reports at the end of a test; bounded, because they may never be taken.
_finished: deque[RecordedTrace] = deque(maxlen=1000)


def take_finished() -> list[RecordedTrace]:
    """The recordings since the last call, at most the last thousand."""
    found = list(_finished)
    _finished.clear()
    return found


def publish(trace: RecordedTrace) -> None:
    """Pass ``trace`` to every listener."""
    _finished.append(trace)
    for listen in tuple(_listeners):
        listen(trace)


@contextmanager
def recording() -> Iterator[list[RecordedTrace]]:
    """The recordings of all responses that end while the block runs, in that order."""
    found: list[RecordedTrace] = []
    listener = found.append
    _listeners.append(listener)
    try:
        yield found
    finally:
        _listeners.remove(listener)


def exchange_of(response: Any) -> Any:
    """The exchange behind a response of one of our transports or clients; raises TypeError when there is none."""
    found = getattr(response, "streamproof", None)
    if found is None:
        extensions = getattr(response, "extensions", None)
        found = extensions.get("streamproof") if isinstance(extensions, dict) else None
    if found is None:
        found = getattr(getattr(response, "response", None), "streamproof", None)  # werkzeug's body iterable
    if found is None and hasattr(response, "line"):
        found = response
    if found is None:
        raise TypeError(
            f"{response!r} did not come through streamproof. Expected a response of streamproof.testing.client(app), "
            "async_client(app) or streaming(client). Does the test use the framework's own client?"
        )
    return found


def trace_of(response: Any) -> RecordedTrace:
    """The recording of ``response``; raises RuntimeError while it is still running."""
    trace: RecordedTrace | None = exchange_of(response).line.trace
    if trace is None:
        raise RuntimeError(
            "This response is still running and has no trace yet. Expected its end. "
            "Should it be read to the end or closed first?"
        )
    return trace
