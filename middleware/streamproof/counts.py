"""What has been counted in this process, for whoever exports it: :data:`violations`, :data:`holds`, :func:`stuck`.

Knows where each is counted, and counts nothing itself. With several worker processes each has its own.
"""

from __future__ import annotations

from ._carry.budgets import violations
from ._carry.pump import stuck
from .taps import holds

__all__ = ["holds", "stuck", "violations"]
