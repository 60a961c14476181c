"""Bound the number of labels: the registered methods, and the first so many routes.

An endless variety of labels would fill a metrics store. How one untrusted value is written is in
``sansio/untrusted.py``.
"""

from __future__ import annotations

import threading

from ..sansio.untrusted import printable
from .forks import renew_in_children

OTHER = "(other)"
UNKNOWN = "(unknown)"

#: RFC 9110 section 9 and RFC 5789; any other method shares one label, as OpenTelemetry's conventions have it.
METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


def method(name: str) -> str:
    """``name`` if it is a registered method, else ``_OTHER``."""
    return name if name in METHODS else "_OTHER"


class LabelLimit:
    """Keeps the first ``limit`` different labels; any further one becomes ``(other)``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, str] = {}
        renew_in_children(self)

    def renew(self) -> None:
        """Leave the lock to the parent process."""
        self._lock = threading.Lock()

    def __call__(self, label: str | None) -> str:
        """The label that stands for ``label``; ``(unknown)`` for None."""
        if label is None:
            return UNKNOWN
        found = self._seen.get(label)
        if found is not None:
            return found
        with self._lock:
            if len(self._seen) >= self._limit:
                return OTHER
            return self._seen.setdefault(label, printable(label))
