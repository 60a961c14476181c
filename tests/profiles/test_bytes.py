"""No via loses, adds or hastens a byte, whatever its options and the schedule."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof import replay
from streamproof.profiles import catalogue
from streamproof.sansio.trace import Outcome, Request

from ..support.profile_traces import NAMES, TEXT, trace, values_of


@st.composite
def vias(draw: st.DrawFn) -> str:
    hops = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)):
        profile = catalogue()[name]
        chosen = draw(st.lists(st.sampled_from(list(profile.options)), unique=True)) if profile.options else []
        given_ = [f"{option}={draw(values_of(profile.options[option]))}" for option in chosen]
        hops.append(name + (":" + ",".join(given_) if given_ else ""))
    return "+".join(hops)


@settings(max_examples=250, deadline=None)
@given(
    via=vias(),
    sizes=st.lists(st.integers(1, 30_000) | st.integers(1, 99), max_size=6),
    gap=st.sampled_from((0.0, 0.03, 0.4, 1.5)),
    length=st.booleans(),
    outcome=st.sampled_from((Outcome.COMPLETE, Outcome.COMPLETE, Outcome.APP_ERROR)),
    version=st.sampled_from(("1.0", "1.1", "2")),
    gzip=st.booleans(),
)
def test_no_via_loses_adds_or_hastens_a_byte(
    via: str, sizes: list[int], gap: float, length: bool, outcome: Outcome, version: str, gzip: bool
) -> None:
    pieces, position = [], 0
    for index, size in enumerate(sizes):
        pieces.append((gap * (index + 1), TEXT[position : position + size]))
        position += size
    body = b"".join(data for _, data in pieces)
    kind = ("Content-Type", "text/event-stream")
    promised = str(len(body) + (0 if outcome is Outcome.COMPLETE else 5))
    sent = trace(
        *pieces,
        headers=(kind, ("Content-Length", promised)) if length else (kind,),
        request=Request(http_version=version, headers=(("Accept-Encoding", "gzip"),) if gzip else ()),
        outcome=outcome,
    )
    got = replay(sent, via)
    if got.response is None or got.response.status != 200:
        return  # a hop gave up and answered itself
    assert body.startswith(got.body)
    patient = not re.search("=(50ms|2s|200)", via)  # a limit's cut may look complete: by the close, or hidden by a hop
    if patient and got.outcome is Outcome.COMPLETE and outcome is Outcome.COMPLETE:
        assert got.body == body
    left = 0
    for chunk in got.chunks:
        left += chunk.size
        assert left <= sum(len(data) for at, data in pieces if at <= chunk.at)
