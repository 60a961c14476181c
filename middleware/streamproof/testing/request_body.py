"""The body of a request on its way to an app, made chunk by chunk as the app asks.

Async apps get theirs from a task beside the app, so that an app that stops waiting stops nothing but its own waiting;
WSGI apps from a file that pulls. Knows what httpx and httpx2 hand over; decides nothing.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Iterable
from typing import Any

from . import _loops

#: What a request's body comes as: whole, or as its chunks.
RequestBody = bytes | Iterable[bytes] | AsyncIterable[bytes]


class Feed:
    """The chunks of ``source`` for an async app: the next is made when :meth:`ask` was called after the last."""

    def __init__(self, source: Iterable[bytes] | AsyncIterable[bytes], loop: _loops.Loop, bell: _loops.Bell) -> None:
        self._source, self._loop, self._bell = source, loop, bell
        self._chunk: bytes | None = None
        self._asked = False
        self._job: _loops.Job | None = None
        self.over = False
        """Whether the source has ended or failed."""
        self.error: Exception | None = None
        """What the source raised."""

    def start(self) -> None:
        """Make ready. No chunk is made yet."""
        self._job = self._loop.spawn(self._run)

    def ask(self) -> None:
        """Let the next chunk be made; the bell rings when it is there."""
        if not self._asked:
            self._asked = True
            self._bell.ring()

    def take(self) -> bytes | None:
        """Return the chunk that is ready; None if none is."""
        chunk, self._chunk = self._chunk, None
        return chunk

    def stop(self) -> None:
        """Stop reading the source: the app will not read again."""
        if self._job is not None and not self.over:
            self._job.cancel()

    async def _run(self) -> None:
        try:
            await self._until_asked()
            if isinstance(self._source, AsyncIterable):
                await self._pull(self._source)
            else:
                for chunk in self._source:
                    await self._give(chunk)
        except Exception as error:
            self.error = error
        finally:
            self.over = True
            self._bell.ring()

    async def _pull(self, source: AsyncIterable[bytes]) -> None:
        chunks = aiter(source)
        try:
            async for chunk in chunks:
                await self._give(chunk)
        finally:
            # Ended here, since trio warns of generators that the garbage collector has to end. Neither library has a
            # public way to the generator that its stream is round.
            for generator in (chunks, getattr(source, "_stream", None)):
                if (close := getattr(generator, "aclose", None)) is not None:
                    await close()

    async def _give(self, chunk: bytes) -> None:
        if chunk:
            self._chunk, self._asked = chunk, False
            self._bell.ring()
            await self._until_asked()

    async def _until_asked(self) -> None:
        while not self._asked:
            await self._bell.wait()


class _Pulled(io.RawIOBase):
    def __init__(self, source: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(source), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def input_of(body: bytes | Iterable[bytes]) -> io.BufferedIOBase:
    """``wsgi.input`` for ``body``; a chunk is made when what was read before it does not suffice."""
    return io.BytesIO(body) if isinstance(body, bytes) else io.BufferedReader(_Pulled(body))
