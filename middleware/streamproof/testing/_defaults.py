"""What a test run says for all its clients: the hops that every response passes, unless a client names its own.

Set by the pytest plugin for ``--streamproof-via`` and by nobody else.
"""

from __future__ import annotations

via: str | None = None
