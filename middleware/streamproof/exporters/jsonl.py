"""Append each trace to a file, as one line of JSON, and rotate the file; ``streamproof replay`` reads it.

Several processes may share the file: each line is one ``write`` to a file that is open for appending, and the process
that holds the lock beside the file rotates it. Bodies are left out by default. Clean traces may be sampled; the others
are always written. The lock needs POSIX.
"""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..sansio.errors import TraceError
from ..sansio.trace import Outcome, Trace
from ..sansio.untrusted import redacted


class JsonLines:
    """A trace file.

    Args:
        path: The file. Rotated files are ``path.1`` (the newest) to ``path.N``.
        max_bytes: The file is rotated before it grows past this size.
        backups: The number of rotated files that stay; with 0 the file is deleted instead.
        sample: The share of clean traces that is written, 0 to 1.
        bodies: Write the bytes of the chunks, if the recorder kept them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = 100_000_000,
        backups: int = 3,
        sample: float = 1.0,
        bodies: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._path = os.path.abspath(path)
        self._max_bytes, self._backups = max_bytes, backups
        self._sample, self._chance = sample, chance
        self._bodies = bodies

    def __repr__(self) -> str:
        return f"<JsonLines {self._path}>"

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        """Append ``trace``. Raises OSError if it cannot be written; a partly written line is removed again."""
        if trace.outcome is Outcome.COMPLETE and self._chance() >= self._sample:
            return
        line = without_secrets(trace if self._bodies else without_bodies(trace)).to_json().encode("ascii") + b"\n"
        if self._size() + len(line) > self._max_bytes:
            self._rotate(len(line))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = os.write(descriptor, line)
            if written != len(line):  # the disk is full: the next line would be joined to this one
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(f"Only {written} of {len(line)} bytes were written to {self._path}. Is the disk full?")
        finally:
            os.close(descriptor)

    def _size(self) -> int:
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def _rotate(self, coming: int) -> None:
        with open(f"{self._path}.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            size = self._size()
            if not size or size + coming <= self._max_bytes:
                return  # another process was quicker
            for number in range(self._backups - 1, 0, -1):
                if os.path.exists(f"{self._path}.{number}"):
                    os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
            if self._backups:
                os.replace(self._path, f"{self._path}.1")
            else:
                os.unlink(self._path)


def without_bodies(trace: Trace) -> Trace:
    """``trace`` with the sizes of its chunks and not their bytes."""
    if all(chunk.data is None for chunk in trace.chunks):
        return trace
    return replace(trace, chunks=tuple(chunk._replace(data=None) for chunk in trace.chunks))


def without_secrets(trace: Trace) -> Trace:
    """``trace`` without credentials in its fields. A recorded trace has none; one that was made by hand may."""
    request, response = trace.request, trace.response
    fields = redacted(request.headers)
    if fields is not request.headers:
        trace = replace(trace, request=request._replace(headers=fields))
    if response is not None and (fields := redacted(response.headers)) is not response.headers:
        trace = replace(trace, response=response._replace(headers=fields))
    return trace


def read(path: str | os.PathLike[str]) -> Iterator[Trace]:
    """The traces in ``path``, one a line. Raises TraceError with the number of the first line that is not a trace."""
    with Path(path).open("rb") as lines:
        for number, text in enumerate(lines, 1):
            if text.strip():
                try:
                    yield Trace.from_json(text)
                except TraceError as error:
                    raise TraceError(f"{os.fspath(path)}, line {number}: {error}") from None
