"""What has been counted in this process, for whoever exports it: :data:`violations`, :data:`holds`, :func:`stuck`.

Knows where each is counted, and counts nothing itself. With several worker processes each has its own.
"""

from __future__ import annotations

from .adapters.budgets import violations
from .adapters.holds import holds
from .adapters.wsgi.pump import stuck

__all__ = ["holds", "stuck", "violations"]
