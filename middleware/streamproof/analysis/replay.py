"""``streamproof.replay``: the pure replay with profiles and servers filled in.

Knows how a via's text becomes plans and which server's framing to assume; decides nothing.
"""

from __future__ import annotations

from ..profiles import Profile, Via, app_server, resolve
from ..sansio.replay import Watcher
from ..sansio.replay import replay as _replay
from ..sansio.trace import Trace


def replay(trace: Trace, via: str | Profile | Via, *, watch: Watcher | None = None) -> Trace:
    """What the reader receives when ``trace`` passes through the hops of ``via``, in virtual time.

    The result is a trace of the delivery: arrivals as chunks (body after content decoding), the head as the reader
    sees it, how it ended for the reader. ``watch`` is called with the chain and the time after each step.

    Raises ConfigurationError for a via that cannot be used, TraceError when the trace kept no chunks, NeedsData when
    a hop compresses and the trace has no bytes. Assumes that the app's pace does not depend on the reader's.
    """
    return _replay(trace, resolve(via).plans, app_server(trace.server), watch)
