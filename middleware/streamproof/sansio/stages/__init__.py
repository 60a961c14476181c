"""One behavior of a hop a file: frozen settings with ``start(request, now)``, and a machine for one response.

:data:`STAGES` lists the names that a profile may use. No stage depends on another one; a hop is stages in a row
(``../hop.py``). A new behavior is one new file and one line here.
"""

from __future__ import annotations

from ..machine import StageSettings
from .abort import Abort
from .blocks import Blocks
from .buffer_all import BufferAll
from .coalesce import Coalesce
from .compress import Compress
from .first_read import FirstRead
from .go_writer import GoWriter
from .head_hold import HeadHold
from .headers import HeaderRules
from .hold_back import HoldBack
from .inflate import Inflate
from .limits import Limits
from .nagle import Nagle
from .reads import Reads
from .reframe import Reframe
from .size_limit import SizeLimit
from .throttle import Throttle
from .tls_records import TlsRecords

STAGES: dict[str, type[StageSettings]] = {
    "abort": Abort,
    "blocks": Blocks,
    "coalesce": Coalesce,
    "compress": Compress,
    "first_read": FirstRead,
    "go_writer": GoWriter,
    "head_hold": HeadHold,
    "headers": HeaderRules,
    "hold_back": HoldBack,
    "inflate": Inflate,
    "limits": Limits,
    "nagle": Nagle,
    "reads": Reads,
    "reframe": Reframe,
    "size_limit": SizeLimit,
    "throttle": Throttle,
    "tls_records": TlsRecords,
    "buffer_all": BufferAll,
}
