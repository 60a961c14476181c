"""The two ways to count: compiled, and the Python that it stands in for. What holds for one holds for the other."""

from __future__ import annotations

import pytest

from streamproof.adapters import compiled

BOTH = ("compiled", "python")


def count(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count this way in this test; skips it where that was not built."""
    if which == "python":
        monkeypatch.setattr(compiled, "counting", None)
    elif compiled.counting is None:
        pytest.skip("the compiled counting was not built here: is there a C compiler?")
