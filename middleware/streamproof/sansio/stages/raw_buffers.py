"""The raw buffers of nginx's event pipe: in which order they are filled, and how many leave in one write.

The first buffer, which brought the head, is one more than proxy_buffers allows. It comes back like the others, so if
they have another size, it matters when. A buffer that was written is filled again before one that lay idle. Nothing is
read while all are full.

Source: nginx src/event/ngx_event_pipe.c ngx_event_pipe_read_upstream(), ngx_event_pipe_write_to_downstream(),
ngx_event_pipe_add_free_buf().
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Full(NamedTuple):
    """A buffer of ``size`` wire bytes that is to be written: ``end`` is where it ends among the bytes held."""

    end: int
    size: int


class RawBuffers:
    """``first`` bytes the first buffer, ``size`` each of ``count`` others; a write takes ``busy`` bytes of them."""

    def __init__(self, first: int, size: int, count: int, busy: int) -> None:
        self._free = [first]  # sizes; the first of them is the open one
        self._size, self._left = size, count  # of those that were not needed yet
        self._busy = busy

    @property
    def open(self) -> int:
        """The size of the buffer that is being filled."""
        return self._free[0]

    def close(self) -> bool:
        """The open buffer is full. False when there is no other one before something was written."""
        self._free.pop(0)
        if not self._free and self._left:
            self._left -= 1
            self._free.append(self._size)
        return bool(self._free)

    def write(self, full: Iterable[Full], *, begun: bool, at_once: bool) -> Iterator[int]:
        """Write these buffers. Yields the offset at which each write ends.

        ``begun``: the open buffer has bytes, so that it stays the open one. ``at_once``: it is the end of the response,
        and no limit holds.
        """
        together: list[Full] = []
        for buffer in full:
            if together and not at_once and sum(size for _, size in together) + buffer.size > self._busy:
                yield self._written(together, begun)
                together = []
            together.append(buffer)
        if together:
            yield self._written(together, begun)

    def _written(self, buffers: list[Full], begun: bool) -> int:
        place = 1 if begun else 0
        self._free[place:place] = [size for _, size in buffers]
        return buffers[-1].end
