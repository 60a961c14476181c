"""Time limits of a hop: on the first byte, on each silence, on the whole response.

Before the head the reader gets an answer of the hop's own, after it a cut, or a clean end that hides the loss. Stands
first in a hop, because it watches what the upstream sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..machine import Cut, Data, End, Event, Events, Head, Stage
from ..page import Page, respond
from ..trace import Request


@dataclass(frozen=True, slots=True)
class Limits:
    """``first_byte``, ``idle`` and ``total`` in seconds, 0 for none.

    ``first_byte`` runs until the head comes, ``idle`` between two reads after it, ``total`` over everything. ``status``
    is the answer if no head had come; 0 closes the connection without an answer. ``after`` is what a limit does after
    the head: ``cut``, or ``end`` for a clean end. ``pending``: bytes that the hop holds are then lost (``discard``) or
    still sent (``deliver``).
    """

    cuts: ClassVar[bool] = True

    first_byte: float = 0.0
    idle: float = 0.0
    total: float = 0.0
    status: int = 504
    after: str = "cut"
    pending: str = "deliver"
    name: str = "hop"
    pages: tuple[Page, ...] = ()

    @property
    def timed(self) -> bool:
        """Does it ever set a deadline?"""
        return bool(self.first_byte or self.idle or self.total)

    def start(self, request: Request, now: float) -> Stage:
        """The clocks of one response; the request left at ``now``."""
        return _Limits(self, now)


class _Limits(Stage):
    def __init__(self, settings: Limits, now: float) -> None:
        self._settings = settings
        self._total = now + settings.total if settings.total else None
        self._head_seen = self._over = False
        self.deadline = self._earliest(now + settings.first_byte if settings.first_byte else None)

    def _earliest(self, other: float | None) -> float | None:
        if other is None or (self._total is not None and self._total < other):
            return self._total
        return other

    def head(self, event: Head, now: float) -> Events:
        if self._over:
            return ()
        self._head_seen = True
        idle = self._settings.idle
        self.deadline = self._earliest(now + idle if idle else None)
        self.transparent = self.deadline is None
        return (event,)

    def data(self, event: Data, now: float) -> Events:
        if self._over:
            return ()
        if idle := self._settings.idle:
            self.deadline = self._earliest(now + idle)
        return (event,)

    def end(self, event: End, now: float) -> Events:
        return self._finish(event)

    def cut(self, event: Cut, now: float) -> Events:
        return self._finish(event)

    def _finish(self, event: Event) -> Events:
        over, self._over, self.deadline = self._over, True, None
        return () if over else (event,)

    def wake(self, now: float) -> Events:
        settings, due = self._settings, self.deadline
        self._over, self.deadline = True, None
        if not self._head_seen and settings.status:
            return respond(settings.status, settings.pages)
        if self._head_seen and settings.after == "end":
            return (End(),)
        if due == self._total:
            which = f"total limit {settings.total:g} s"
        elif self._head_seen:
            which = f"idle limit {settings.idle:g} s"
        else:
            which = f"first-byte limit {settings.first_byte:g} s"
        return (Cut("fin", settings.name, which, own=True, discard=settings.pending == "discard"),)
