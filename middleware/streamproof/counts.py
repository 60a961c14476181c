"""What this process has counted, for an exporter: budget violations, holds, and the pumps of WSGI responses.

``pumps()`` have a thread now, ``stuck()`` of them wait for an app that never came back, and ``refused["pump"]``
responses went without one. Each is counted where it happens. With several worker processes each has its own counts.
"""

from __future__ import annotations

from .adapters.budgets import violations
from .adapters.holds import holds
from .adapters.wsgi.pump import alive as pumps
from .adapters.wsgi.pump import refused, stuck

__all__ = ["holds", "pumps", "refused", "stuck", "violations"]
