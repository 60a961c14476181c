"""What a policy does to a stream on its way out of the app: one idea a file, put in a row by :class:`FlushPolicy`.

``recognise`` says which responses are streams, ``annotate`` what their head says; ``pace`` joins and splits,
``heartbeat`` speaks in a silence, ``failure`` tells of an error, ``encode`` compresses and flushes. Nothing here knows
a server.
"""

from __future__ import annotations

from .policy import FlushPolicy

__all__ = ["FlushPolicy"]
