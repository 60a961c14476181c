"""Each piece is held until the next one arrives, as some antivirus products do with event streams.

Source: user reports (featurehub-io/featurehub issue 296, Kaspersky); no documentation exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine import Cut, Data, End, Events, Stage
from ..trace import Request


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Always one piece behind."""

    def start(self, request: Request, now: float) -> Stage:
        """The piece held in one response."""
        return _HoldBack()


class _HoldBack(Stage):
    _piece: Data | None = None

    @property
    def held(self) -> int:
        return 0 if self._piece is None else len(self._piece.data)

    def data(self, event: Data, now: float) -> Events:
        before, self._piece = self._piece, event
        return () if before is None else (before,)

    def end(self, event: End, now: float) -> Events:
        before, self._piece = self._piece, None
        return (event,) if before is None else (before, event)

    def cut(self, event: Cut, now: float) -> Events:
        before, self._piece = self._piece, None
        return (event,) if before is None or event.discard else (before, event)
