"""The errors that streamproof raises on purpose.

Knows nothing of where they are caught: doors turn every :class:`StreamProofError` into one sentence and exit status 2.
Each message has the form: the fact, what was expected, the likely cause as a question.
"""

from __future__ import annotations


class StreamProofError(Exception):
    """Base of all errors that streamproof raises on purpose."""


class ConfigurationError(StreamProofError, ValueError):
    """Something the user configured cannot be used: an option, a via, a profile, an app string."""


class TraceError(StreamProofError, ValueError):
    """A trace cannot be read; the message names the place inside it."""


class NeedsData(StreamProofError, ValueError):
    """A hop must see the bytes of the body (it compresses), and the trace has only their sizes."""
