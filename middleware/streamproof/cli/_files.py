"""Recordings in files, and on standard input and output."""

from __future__ import annotations

import sys
from pathlib import Path

from ..sansio.errors import StreamProofError, TraceError
from ..sansio.trace import Trace


def load(name: str) -> Trace:
    """The trace in the file ``name``, ``-`` for standard input, ``NAME:7`` for line 7 of a trace file (JSON lines).

    Raises TraceError when it is none, or one of several and not said which.
    """
    if name != "-" and not Path(name).exists():
        path, colon, number = name.rpartition(":")
        if colon and number.isdigit() and Path(path).exists():
            return _line(path, int(number))
    if name == "-":
        return Trace.from_json(sys.stdin.buffer.read())
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise StreamProofError(
            f"The recording {name!r} cannot be read: {error.strerror}. Expected a file that --save wrote, or -. "
            "Is it in another folder?"
        ) from None
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        raise TraceError(
            f"{name!r} holds {len(lines)} traces. Expected one: {name}:1 for the first, {name}:{len(lines)} for the "
            "last. Which one?"
        )
    return Trace.from_json(text)


def _line(path: str, number: int) -> Trace:
    lines = Path(path).read_bytes().splitlines()
    if not 1 <= number <= len(lines):
        raise TraceError(
            f"{path!r} has {len(lines)} lines, and line {number} is asked for. Expected 1 to {len(lines)}. "
            "Was it rotated?"
        )
    return Trace.from_json(lines[number - 1])


def save(trace: Trace, name: str) -> None:
    """Write ``trace`` to the file ``name``. Raises StreamProofError when that is not possible."""
    try:
        Path(name).write_text(trace.to_json() + "\n")
    except OSError as error:
        raise StreamProofError(
            f"The recording cannot be written to {name!r}: {error.strerror}. Expected a file in a folder that is "
            "there. Is its name right?"
        ) from None
