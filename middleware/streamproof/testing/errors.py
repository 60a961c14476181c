"""Broken ends of a response in a test; the transports raise them as their library's own errors."""

from __future__ import annotations

from ..sansio.errors import StreamProofError


class BrokenResponse(StreamProofError):
    """The response was cut, or never began."""


class OpenForEver(StreamProofError):
    """The server would leave the connection open, so the reader would wait for ever."""


class AppFault(StreamProofError):
    """The app broke the protocol: no head, a chunk that is not bytes, bytes after the end."""
