"""Report the app's failure in the stream itself, then end the body properly.

This is possible only at a boundary: a reader takes half an event followed by an error for one event. Elsewhere the end
stays unclean, so the reader sees the loss in the framing (RFC 9112 section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..framing import BodyFraming
from ..machine import Cut, Data, End, Events, Stage
from .tail import Tail


@dataclass(frozen=True, slots=True)
class FailureEvent:
    """``text`` is what the reader gets; never the exception's own message, which may hold secrets."""

    framing: BodyFraming
    text: str

    def start(self, tail: Tail) -> Stage:
        """The watch over one response whose end is ``tail``."""
        return _FailureEvent(self, tail)


class _FailureEvent(Stage):
    __slots__ = ("_settings", "_tail")

    def __init__(self, settings: FailureEvent, tail: Tail) -> None:
        self._settings, self._tail = settings, tail

    def cut(self, event: Cut, now: float) -> Events:
        report = self._settings.framing.failure
        if event.by not in (None, "app") or report is None or not self._tail.at_boundary:
            return (event,)
        return (Data(report(self._settings.text)), End())
