"""HAProxy's own compressor, libslz: fast, without history, and up to 31 bits behind.

One piece is packed at a time. Matches of four bytes and more are found with a table of one entry a hash, never in an
earlier piece. Codes are fixed Huffman codes, or stored bytes where many literals would need nine bits. Codes are
written in words of 32 bits, so the last symbols of a piece wait for the next one. Written from the format (RFC 1951
section 3.2) and the description of the algorithm; the output is a valid gzip stream.

Source: haproxy src/slz.c, slz_rfc1951_encode(), copy_lit(), enqueue24(); src/compression.c, which flushes nothing.
"""

from __future__ import annotations

import zlib

_HASH_BITS = 13
_SWITCH = 52  # bits that going to a stored block and back costs
_WINDOW = 32768


def _reversed(code: int, bits: int) -> tuple[int, int]:
    return int(f"{code:0{bits}b}"[::-1], 2), bits


def _symbol(value: int) -> tuple[int, int]:
    """The fixed Huffman code of a literal or length symbol, as it lies in the stream, and its bits."""
    if value < 144:
        return _reversed(0x30 + value, 8)
    if value < 256:
        return _reversed(0x190 + value - 144, 9)
    return _reversed(value - 256, 7) if value < 280 else _reversed(0xC0 + value - 280, 8)


def _lengths() -> list[tuple[int, int]]:
    """Code and bits by match length (RFC 1951 section 3.2.5)."""
    table, length, symbol = [(0, 0)] * 259, 3, 257
    while length < 258:
        extra = max((symbol - 261) // 4, 0)
        for offset in range(1 << extra):
            code, bits = _symbol(symbol)
            if length + offset < 258:
                table[length + offset] = (code | offset << bits, bits + extra)
        length, symbol = length + (1 << extra), symbol + 1
    table[258] = _symbol(285)
    return table


def _distance(distance: int) -> tuple[int, int]:
    """Code and bits of a distance."""
    below = distance - 1
    extra = max(below.bit_length() - 2, 0)
    symbol = below if below < 2 else 2 * extra + (below >> extra)
    code, bits = _reversed(symbol, 5)
    return code | (below & ((1 << extra) - 1)) << bits, bits + extra


_SYMBOLS = [_symbol(value) for value in range(257)]
_LENGTHS = _lengths()


class Slz:
    """One gzip stream; ``read`` is how many bytes are packed as one piece."""

    def __init__(self, read: int) -> None:
        self._read = read
        self._out = bytearray(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03")  # RFC 1952 section 2.3: no flags, no time
        self._queue = self._bits = self._size = self._crc = 0
        self._open = False  # inside a block of fixed codes

    def feed(self, data: bytes | memoryview) -> bytes:
        """Pack ``data``; what comes out now."""
        for start in range(0, len(data), self._read):
            self._piece(bytes(data[start : start + self._read]))
        self._size += len(data)
        self._crc = zlib.crc32(data, self._crc)
        out = bytes(self._out)
        self._out.clear()
        return out

    def finish(self) -> bytes:
        """The rest, the last block and the trailer."""
        if self._open:
            self._put(*_SYMBOLS[256])
        self._put(0b011, 3)
        self._put(*_SYMBOLS[256])
        self._align()
        return bytes(self._out) + self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")

    def _put(self, code: int, bits: int) -> None:
        self._queue |= code << self._bits
        self._bits += bits
        if self._bits >= 32:
            self._out += (self._queue & 0xFFFFFFFF).to_bytes(4, "little")
            self._queue, self._bits = self._queue >> 32, self._bits - 32

    def _align(self) -> None:
        self._out += self._queue.to_bytes((self._bits + 7) // 8, "little")
        self._queue = self._bits = 0

    def _piece(self, data: bytes) -> None:
        table: dict[int, tuple[int, int]] = {}
        position, first, wide, end = 0, 0, 0, len(data)
        while end - position >= 4:
            word = int.from_bytes(data[position : position + 4], "little")
            slot = (((word << 19) + (word << 6) - word) & 0xFFFFFFFF) >> (32 - _HASH_BITS)
            seen, last = table.get(slot, (-1, 0))
            table[slot] = (word, position)
            if seen == word and position - last <= _WINDOW:
                length = _match(data, last, position)
                code, far = _LENGTHS[length], _distance(position - last)
                dear = far[1] + code[1] + 8 >= 8 * length + wide
                if not dear and not (wide >= _SWITCH and length < 6):
                    self._literals(data[first:position], wide)
                    if not self._open:
                        self._open = True
                        self._put(0b010, 3)
                    self._put(*code)
                    self._put(*far)
                    position += length
                    first, wide = position, 0
                    continue
            wide += data[position] >= 144
            position += 1
        wide += sum(byte >= 144 for byte in data[position:])
        self._literals(data[first:], wide)

    def _literals(self, data: bytes, wide: int) -> None:
        """Bytes without a match: stored when ``wide``, how many of them need nine bits, makes codes dearer."""
        if wide >= _SWITCH:
            for start in range(0, len(data), 65535):
                self._stored(data[start : start + 65535])
        elif data:
            if not self._open:
                self._open = True
                self._put(0b010, 3)
            for byte in data:
                self._put(*_SYMBOLS[byte])

    def _stored(self, data: bytes) -> None:
        if self._open:
            self._open = False
            self._put(*_SYMBOLS[256])
        self._put(0, 3)
        self._align()
        self._out += len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little") + data


def _match(data: bytes, last: int, position: int) -> int:
    length, most = 4, min(len(data) - position, 258)
    while length < most and data[last + length] == data[position + length]:
        length += 1
    return length
