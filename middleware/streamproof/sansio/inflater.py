"""Decompress the gzip body of a recording within a limit: :class:`Inflater`."""

from __future__ import annotations

import zlib

from .errors import TraceError


class Inflater:
    """Decompresses one body piece by piece. What follows the end of the gzip stream is dropped."""

    def __init__(self, most: int) -> None:
        """``most``: bytes that may come out in all."""
        self._decoder = zlib.decompressobj(31)
        self._left = self._most = most

    def take(self, packed: bytes | memoryview) -> bytes:
        """What comes out with ``packed``. Raises TraceError if it is not gzip, or too much comes out."""
        try:
            # one byte more than is left: that shows that there is more
            data = self._decoder.decompress(packed, self._left + 1)
        except zlib.error as error:
            raise TraceError(
                f"The body is not gzip, as its Content-Encoding says: {error}. Expected the bytes as they were on the "
                "wire. Was it recorded inside of the layer that compresses?"
            ) from None
        self._left -= len(data)
        if self._left < 0:
            raise TraceError(
                f"The body has more than {self._most:,} bytes when it is decompressed. Expected at most so many. "
                "Is it meant to fill the memory?"
            )
        return data
