"""A stage that holds a body holds it once."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from streamproof.profiles import resolve
from streamproof.sansio.machine import Data, End, Head
from streamproof.sansio.trace import Request

SIZE = 8 << 20  # bytes
PIECE = 1 << 18
NOISE = random.Random(1).randbytes(PIECE)


@pytest.mark.parametrize(
    ("via", "copies"),
    [("azure-functions", 1), ("fastly", 1), ("lighttpd", 1), ("lighttpd:deflate=text/", 2)],  # plain and compressed
)
def test_a_held_body_is_in_memory_once(via: str, copies: int) -> None:
    request = Request("GET", "/", "1.1", (("Host", "a"), ("Accept-Encoding", "gzip")))
    chain = resolve(via).start(request, 0.0)
    tracemalloc.start()
    try:
        chain.receive(Head(200, (("Content-Type", "text/csv"),), "close", 100), 0.0)
        for _ in range(SIZE // PIECE):
            chain.receive(Data(bytes(memoryview(NOISE))), 0.1)
        assert chain.held == SIZE
        left = chain.receive(End(), 0.2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(len(event.data) for event in left if type(event) is Data) >= SIZE
    assert peak < (copies + 0.5) * SIZE
