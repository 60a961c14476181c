"""Replay a trace through the hops of a via, by name: :func:`replay`, which is ``streamproof.replay``.

The via is resolved in ``profiles/via.py``; the replay itself is in ``sansio/replay.py``.
"""

from __future__ import annotations

from ..profiles import Profile, Via, app_server, resolve
from ..sansio.replay import Watcher
from ..sansio.replay import replay as _replay
from ..sansio.trace import Trace


def replay(trace: Trace, via: str | Profile | Via, *, watch: Watcher | None = None) -> Trace:
    """Return what the reader receives when ``trace`` passes through the hops of ``via``, in virtual time.

    The result is a trace of the delivery: arrivals as chunks (the body after content decoding), the head as the reader
    sees it, and how it ended for the reader. ``watch`` is called with the chain and the time after each step.

    Raises ConfigurationError for a via that cannot be used, TraceError when the trace kept no chunks, NeedsData when
    a hop compresses and the trace has no bytes. Assumes that the app's pace does not depend on the reader's.
    """
    return _replay(trace, resolve(via).plans, app_server(trace.server), watch)
