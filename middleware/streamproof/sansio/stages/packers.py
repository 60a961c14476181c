"""When a compressor lets go of bytes: four habits, each a packer of one response.

Knows, of a piece that goes in, what comes out now:

- :class:`Flushed`: everything, by a sync flush.
- :class:`Unflushed`: what zlib gives when a deflate block closes, which for text is tens of kilobytes of input, and of
  that only full blocks (nginx src/http/modules/ngx_http_gzip_filter_module.c hands over full buffers).
- :class:`InputBlocks`: nothing until so many bytes are in, then all of them (Go's klauspost/compress/flate at its fast
  levels, deflate.go maxStoreBlockSize), less a few compressed bytes that wait in its bit writer.
- :class:`Segments`: what fits into the open segment of the object; then the next read of input comes first, unless zlib
  has not yet taken in the last one (varnish-cache bin/varnishd/cache/cache_gzip.c, vfp_gzip_pull(), which reads before
  it drains; cache_fetch.c, vbf_stp_fetchbody(): the first segment has the size of a known body; zlib deflate.c,
  fill_window()).

HAProxy's own compressor is in ``slz.py``. Does not know which responses are compressed: ``compress.py`` does.
"""

from __future__ import annotations

import zlib
from typing import Protocol

_STEP = 128  # bytes of input between two looks at whether a deflate block was closed


class Packer(Protocol):
    """The compressor of one response."""

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take in ``data``; return what comes out now."""
        ...

    def finish(self) -> bytes:
        """The body is complete; return the rest."""
        ...


class Flushed:
    """zlib with a sync flush after each piece."""

    def __init__(self, deflate: zlib._Compress) -> None:
        self._deflate = deflate

    def feed(self, data: bytes | memoryview) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def flush(self) -> bytes:
        """Return all that the bytes taken in so far make, the body being incomplete."""
        return self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflate.flush(zlib.Z_FINISH)


class Unflushed:
    """zlib without a flush; ``block`` bytes at a time come out, 0: whatever zlib gives."""

    def __init__(self, deflate: zlib._Compress, block: int) -> None:
        self._deflate, self._block = deflate, block or 1
        self._out = bytearray()

    def feed(self, data: bytes | memoryview) -> bytes:
        self._out += self._deflate.compress(data)
        return self._take(len(self._out) - len(self._out) % self._block)

    def _take(self, count: int) -> bytes:
        out = bytes(self._out[:count])
        del self._out[:count]
        return out

    def flush(self) -> bytes:
        """Return all that the bytes taken in so far make, the body being incomplete."""
        self._out += self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return self._take(len(self._out))

    def finish(self) -> bytes:
        return bytes(self._out) + self._deflate.flush(zlib.Z_FINISH)


class InputBlocks(Unflushed):
    """``size`` bytes of input at a time; a block that got smaller leaves ``lag`` bytes behind."""

    def __init__(self, deflate: zlib._Compress, size: int, lag: int) -> None:
        super().__init__(deflate, 1)
        self._size, self._lag = size, lag
        self._in = bytearray()

    def feed(self, data: bytes | memoryview) -> bytes:
        self._in += data
        leaves = 0
        while len(self._in) >= self._size:
            packed = self._deflate.compress(self._in[: self._size]) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            del self._in[: self._size]
            self._out += packed
            leaves = len(self._out) - (self._lag if len(packed) < self._size else 0)
        return self._take(leaves)

    def finish(self) -> bytes:
        return bytes(self._out) + self._deflate.compress(self._in) + self._deflate.flush(zlib.Z_FINISH)


class Segments(Unflushed):
    """``first`` bytes the first segment, ``size`` the others; one read of input brings at most ``read`` bytes.

    zlib takes a read into its window only when it has run short of input, and goes on without a read until then.
    """

    def __init__(self, deflate: zlib._Compress, first: int, size: int, read: int) -> None:
        super().__init__(deflate, 1)
        self._size, self._read, self._room = size, read, first
        self._window = memoryview(b"")  # taken in by zlib, not yet worked through

    def feed(self, data: bytes | memoryview) -> bytes:
        data, leaves = memoryview(data), 0
        for start in range(0, len(data), self._read):
            leaves += self._pull(data[start : start + self._read], leaves)
        return self._take(leaves)

    def _pull(self, read: memoryview, before: int) -> int:
        """Fill segments until ``read`` is inside the window and the open segment is full, or nothing is left."""
        leaves = 0
        while True:
            while len(self._out) - before - leaves < self._room:
                if not self._window:
                    self._window, read = read, read[:0]
                if not self._window:
                    break
                self._out += self._deflate.compress(self._window[:_STEP])
                self._window = self._window[_STEP:]
            taken = min(len(self._out) - before - leaves, self._room)
            leaves += taken
            full = taken == self._room
            self._room = self._room - taken or self._size
            if not (full and read):
                return leaves

    def finish(self) -> bytes:
        return bytes(self._out) + self._deflate.compress(self._window) + self._deflate.flush(zlib.Z_FINISH)
