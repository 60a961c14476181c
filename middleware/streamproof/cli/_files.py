"""Reads recordings from files and standard input, and writes them to files."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from ..sansio.decode.fault import shortened
from ..sansio.errors import StreamProofError, TraceError
from ..sansio.trace import Trace


def load(name: str) -> Trace:
    """Read the trace in the file ``name``; ``-`` is standard input, ``NAME:7`` is line 7 of a JSON lines file.

    Raises TraceError for an invalid trace, and for a file of several traces without a line number.
    """
    if name == "-":
        return Trace.from_json(sys.stdin.buffer.read())
    if not os.path.exists(name):
        path, colon, number = name.rpartition(":")
        if colon and re.fullmatch(r"[0-9]{1,18}", number) and os.path.exists(path):
            return _line(path, int(number))
    text = _read(name)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        raise TraceError(
            f"{name!r} has {len(lines)} traces. Expected a line number: {name}:1 for the first trace, "
            f"{name}:{len(lines)} for the last."
        )
    return Trace.from_json(text)


def _line(path: str, number: int) -> Trace:
    lines = _read(path).splitlines()
    if not 1 <= number <= len(lines):
        raise TraceError(f"{path!r} has no line {number}. Expected 1 to {len(lines)}. Was the file rotated?")
    return Trace.from_json(lines[number - 1])


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise StreamProofError(
            f"The recording {shortened(name, 200)!r} cannot be read: {error.strerror}. "
            "Expected a file that --save wrote, or -."
        ) from None


def save(trace: Trace, name: str) -> None:
    """Write ``trace`` to the file ``name``. Raises StreamProofError when the file cannot be written."""
    try:
        Path(name).write_text(trace.to_json() + "\n")
    except OSError as error:
        raise StreamProofError(
            f"The recording cannot be written to {shortened(name, 200)!r}: {error.strerror}. "
            "Expected a file name in an existing, writable folder."
        ) from None
