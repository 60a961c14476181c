"""The errors that streamproof raises on purpose.

The entry points print each :class:`StreamProofError` as one sentence and exit with status 2. A message states the fact,
the expected form, and a likely cause as a question if there is one.
"""

from __future__ import annotations


class StreamProofError(Exception):
    """Base of all errors that streamproof raises on purpose."""


class ConfigurationError(StreamProofError, ValueError):
    """Something the user configured cannot be used: an option, a via, a profile, an app string."""


class TraceError(StreamProofError, ValueError):
    """A trace cannot be read; the message names the place inside it."""


class NeedsData(StreamProofError, ValueError):
    """A hop needs the bytes of the body because it compresses, and the trace has only their sizes."""
