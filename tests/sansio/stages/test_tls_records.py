"""TLS records that fill before they leave."""

from __future__ import annotations

from streamproof.sansio.machine import Data, End
from streamproof.sansio.stages.tls_records import TlsRecords

from ...support.stage_events import Timed, head, play, summary


def test_tls_records_fill_before_they_leave() -> None:
    events: list[Timed] = [
        (0.0, head("close", 60)),
        *((step / 10, Data(b"x" * 30)) for step in range(1, 4)),
        (0.4, End()),
    ]
    assert summary(play(TlsRecords(100), events)) == [
        (0.2, 200),
        (0.2, b"x" * 30),
        (0.2, b"x" * 10),
        (0.4, b"x" * 20),
        (0.4, b"x" * 30),
        (0.4, "end"),
    ]
