"""What a policy does to a stream on its way out of the app. :class:`FlushPolicy` puts the parts in a row.

``recognize.py`` decides which responses are streams, ``annotate.py`` what their head says, ``pace.py`` joins and splits
chunks, ``heartbeat.py`` fills silences, ``failure.py`` reports an error in the stream, ``encode.py`` compresses.
"""

from __future__ import annotations

from .policy import FlushPolicy

__all__ = ["FlushPolicy"]
