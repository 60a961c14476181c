"""Recordings in files, and on standard input and output."""

from __future__ import annotations

import sys
from pathlib import Path

from ..sansio.errors import StreamProofError
from ..sansio.trace import Trace


def load(name: str) -> Trace:
    """The trace in the file ``name``, ``-`` for standard input. Raises TraceError when it is none."""
    if name == "-":
        return Trace.from_json(sys.stdin.buffer.read())
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise StreamProofError(
            f"The recording {name!r} cannot be read: {error.strerror}. Expected a file that --save wrote, or -. "
            "Is it in another folder?"
        ) from None
    return Trace.from_json(text)


def save(trace: Trace, name: str) -> None:
    """Write ``trace`` to the file ``name``. Raises StreamProofError when that is not possible."""
    try:
        Path(name).write_text(trace.to_json() + "\n")
    except OSError as error:
        raise StreamProofError(
            f"The recording cannot be written to {name!r}: {error.strerror}. Expected a file in a folder that is "
            "there. Is its name right?"
        ) from None
