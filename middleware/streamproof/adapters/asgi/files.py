"""Read the files that an app sends by path or file descriptor, because hops need the bytes: :func:`pieces`.

The extensions are ``http.response.pathsend`` and ``http.response.zerocopysend`` of the ASGI specification.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from .scope import Message

FILES = ("http.response.pathsend", "http.response.zerocopysend")

_PIECE = 65536


async def pieces(message: Message) -> AsyncIterator[bytes]:
    """Read the file that ``message`` names, piece by piece."""
    if message["type"] == "http.response.pathsend":
        with open(message["path"], "rb") as opened:
            async for piece in _read(opened.fileno(), 0, None):
                yield piece
        return
    file = message["file"]
    number = file if isinstance(file, int) else file.fileno()
    async for piece in _read(number, message.get("offset"), message.get("count")):
        yield piece


async def _read(number: int, offset: int | None, count: int | None) -> AsyncIterator[bytes]:
    """Read an open file from ``offset`` (None: from its current position), at most ``count`` bytes."""
    if offset is not None:
        os.lseek(number, offset, os.SEEK_SET)
    while count is None or count > 0:
        piece = await asyncio.to_thread(os.read, number, _PIECE if count is None else min(_PIECE, count))
        if not piece:
            return
        if count is not None:
            count -= len(piece)
        yield piece
