"""Tells in one sentence which extra is missing, before anything is imported that needs it."""

from __future__ import annotations

from importlib.util import find_spec

from .sansio.errors import StreamProofError


def need(module: str, doing: str, extra: str = "cli") -> None:
    """Raises StreamProofError when ``module`` is not installed; ``doing`` says what needs it."""
    if find_spec(module) is None:
        raise StreamProofError(
            f"{doing} needs {module}, which is not installed. Expected the extra {extra!r}: "
            f"pip install 'streamproof[{extra}]'. Is this the environment that you installed it in?"
        )
