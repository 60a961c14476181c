"""The compiled counting (``_counting_c/``), where it was built and reads the same clock as the rest; else None.

Knows only whether to use it. It counts what ``bodies.py`` and ``asgi.py`` count in Python, at a fraction of the cost;
without it nothing else changes.
"""

from __future__ import annotations

from typing import Any

from .telling import clock


def _load() -> Any:
    try:
        from . import _counting
    except ImportError:  # no compiler when it was installed, or a Python without the GIL
        return None
    before = clock()
    return _counting if before <= _counting.clock() <= clock() else None


#: The extension module, or None.
counting = _load()
