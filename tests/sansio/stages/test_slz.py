"""libslz's stand-in writes valid gzip."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof.sansio.stages.slz import Slz

from ...support.stage_events import NOISE, TEXT


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.sampled_from((TEXT, NOISE)).flatmap(lambda b: st.integers(1, 9000).map(lambda n: b[:n]))))
def test_libslz_writes_gzip(pieces: list[bytes]) -> None:
    packer = Slz(4096)
    packed = b"".join(packer.feed(piece) for piece in pieces) + packer.finish()
    assert zlib.decompress(packed, 31) == b"".join(pieces)
