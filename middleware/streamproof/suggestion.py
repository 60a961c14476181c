"""Name the valid word that is nearest to a mistyped one: :func:`nearest`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str]) -> str:
    """A question that proposes the valid name nearest to ``name``, or all of them if none is near."""
    known = list(valid)
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Is it one of {', '.join(sorted(known))}?"
