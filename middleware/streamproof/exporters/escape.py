"""Escape untrusted text for one line of a log, and bound the number of labels.

Request targets, methods and header values come from whoever sends a request. A line break in one would forge a log
line; an endless variety of them would fill a metrics store.
"""

from __future__ import annotations

import json
import re
import threading

_PLAIN = re.compile(r"[A-Za-z0-9_.,:;/@+*%<>{}()\[\]~!?&-]{1,200}")
LONGEST = 200
OTHER = "(other)"
UNKNOWN = "(unknown)"

#: RFC 9110 section 9 and RFC 5789; any other method shares one label, as OpenTelemetry's conventions have it.
METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


def plain(value: object) -> str:
    """``value`` as one word of ASCII: unchanged if harmless, otherwise quoted as in JSON; cut at 200 characters."""
    if isinstance(value, float):
        return format(value, ".6g")
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    return json.dumps(text).replace("\x7f", "\\u007f")


def method(name: str) -> str:
    """``name`` if it is a registered method, else ``_OTHER``."""
    return name if name in METHODS else "_OTHER"


class LabelLimit:
    """Keeps the first ``limit`` different labels; any further one becomes ``(other)``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, str] = {}
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
            return self._seen.setdefault(label, plain(label).strip('"'))
