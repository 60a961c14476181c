"""The compressors that a policy may name: gzip from the standard library, brotli and zstandard if they are installed.

Each flushes after every write. The extra ``compress`` installs the two libraries; they are imported only if a policy
compresses with them. gzip is in ``sansio/flush/encode.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from ..sansio.errors import ConfigurationError
from ..sansio.flush.encode import GZIP, Coder, Coders

#: nginx's brotli module uses 6. A stream is flushed often, and above 5 the time per byte doubles.
_BROTLI_QUALITY = 5

_MODULES = {"br": "brotli", "zstd": "zstandard"}


class Brotli:
    """brotli, flushed after every write (RFC 7932)."""

    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped, unused-ignore]

        self._compressor: Any = brotli.Compressor(quality=_BROTLI_QUALITY)

    def encode(self, data: bytes) -> bytes:
        compressor = self._compressor
        return bytes(compressor.process(data) + compressor.flush())

    def finish(self) -> bytes:
        return bytes(self._compressor.finish())


class Zstandard:
    """zstd, a block flushed after every write (RFC 8878); its default window is within the 8 MB of RFC 9659."""

    def __init__(self) -> None:
        import zstandard

        self._flush_block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        self._compressor: Any = zstandard.ZstdCompressor().compressobj()

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.compress(data) + self._compressor.flush(self._flush_block))

    def finish(self) -> bytes:
        return bytes(self._compressor.flush())


_OTHERS: dict[str, Callable[[], Coder]] = {"br": Brotli, "zstd": Zstandard}


def coders(names: Iterable[str]) -> Coders:
    """Return what makes the coder of each of ``names``. Raises ConfigurationError if a library is not installed."""
    found: dict[str, Callable[[], Coder]] = {}
    for name in names:
        if name in GZIP:
            found[name] = GZIP[name]
        elif find_spec(_MODULES[name]) is None:
            raise ConfigurationError(
                f"The policy compresses with {name!r}, and {_MODULES[name]} is not installed. "
                "Install it: pip install 'streamproof[compress]'."
            )
        else:
            found[name] = _OTHERS[name]
    return found
