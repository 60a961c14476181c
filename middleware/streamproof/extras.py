"""Checks that an optional package is installed, before a module that needs it is imported."""

from __future__ import annotations

from importlib.util import find_spec

from .sansio.errors import StreamProofError


def need(module: str, doing: str, extra: str = "cli") -> None:
    """Raise StreamProofError when ``module`` is not installed; ``doing`` names what needs it."""
    if find_spec(module) is None:
        raise StreamProofError(
            f"{doing} needs {module}, which is not installed. Install it: pip install 'streamproof[{extra}]'."
        )
