"""Pairs that are known to disagree, each with its reason. What is not here must agree; what is here must not.

Knows exact pairs, no patterns: a new schedule is never excused by an old reason. The share of them that the pass line
allows, and that nginx has none, is held by a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """Why the pair disagrees. ``always``: False where it depends on what the kernel did, and it may agree as well."""

    reason: str
    always: bool = True


#: By configuration and schedule.
KNOWN: dict[tuple[str, str], Known] = {}
