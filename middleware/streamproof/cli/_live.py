"""Shows a response while it comes: its head in a line, then a line for every arrival.

Knows how to print bytes so that a terminal cannot be driven by them.
"""

from __future__ import annotations

import sys
from typing import TextIO

from ..sansio.http import Headers, header, media_type, reason
from ..sansio.trace import Chunk, Response

PREVIEW = 52  # characters; with the columns before them they fill 80


class Live:
    """Prints as things come; :meth:`head` and :meth:`arrival` are what the reader calls."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._headers: Headers = ()

    def head(self, response: Response) -> None:
        """The head is there."""
        self._headers = response.headers
        framing = {"chunked": "chunked", "close": "until close", None: "no body"}.get(response.framing)
        if framing is None:
            framing = f"Content-Length {header(response.headers, 'content-length')}"
        kind = media_type(response.headers) or "no content type"
        self._line(f"{response.status} {reason(response.status)}".rstrip() + f", {kind}, {framing}")

    def arrival(self, chunk: Chunk) -> None:
        """Bytes are there."""
        coding = header(self._headers, "content-encoding")
        shown = f"({coding})" if coding else preview(chunk.data or b"", self._out.encoding)
        self._line(f"{chunk.at:9.3f} s {chunk.size:8d} B  {shown}")

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def preview(data: bytes, encoding: str | None = "utf-8", width: int = PREVIEW) -> str:
    """The beginning of ``data`` in quotes, one line, nothing in it that moves a cursor."""
    text = data[: 4 * width].decode("utf-8", "replace")
    shown = "".join(_visible(character, encoding or "ascii") for character in text)
    return f'"{shown}"' if len(shown) <= width and len(data) <= 4 * width else f'"{shown[: width - 3]}..."'


def _visible(character: str, encoding: str) -> str:
    if character.isprintable() and character not in '"\\':
        try:
            character.encode(encoding)
            return character
        except UnicodeEncodeError:
            pass
    escaped = character.encode("unicode_escape").decode("ascii")
    return '\\"' if character == '"' else escaped
