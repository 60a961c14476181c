"""Prints a response while it arrives: one line for the head, one for each arrival.

Escapes control characters, so that received bytes cannot control the terminal.
"""

from __future__ import annotations

import sys
from typing import TextIO

from ..sansio.http import Headers, header, media_type, reason
from ..sansio.trace import Chunk, Response

PREVIEW = 52  # characters; with the columns before them they fill 80


class Live:
    """Prints the head and the arrivals of one response; the reader calls :meth:`head` and :meth:`arrival`."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._headers: Headers = ()

    def head(self, response: Response) -> None:
        """Print the head."""
        self._headers = response.headers
        framing = {"chunked": "chunked", "close": "until close", None: "no body"}.get(response.framing)
        if framing is None:
            framing = f"Content-Length {header(response.headers, 'content-length')}"
        content_type = media_type(response.headers) or "no content type"
        self._line(f"{response.status} {reason(response.status)}".rstrip() + f", {content_type}, {framing}")

    def arrival(self, chunk: Chunk) -> None:
        """Print one arrival."""
        coding = header(self._headers, "content-encoding")
        shown = f"({coding})" if coding else preview(chunk.data or b"", self._out.encoding)
        self._line(f"{chunk.at:9.3f} s {chunk.size:8d} B  {shown}")

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def preview(data: bytes, encoding: str | None = "utf-8", width: int = PREVIEW) -> str:
    """The beginning of ``data``, quoted and escaped, on one line of at most ``width`` characters."""
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
