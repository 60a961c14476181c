"""The orders that a booted server gets from its parent process, and the notes that it answers with.

Orders come in one environment variable. Each note is a file in a folder, the inbox. It is written under another name
and then renamed, so the parent reads only complete notes, whichever worker process or thread leaves them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

#: JSON: target, app_dir, inbox, wrap, via, server (or null), host, port, options.
ORDERS = "_STREAMPROOF_SERVED"


def orders() -> dict[str, Any]:
    """The parent's orders. Puts the user's folder first on ``sys.path``, as the servers do."""
    given: dict[str, Any] = json.loads(os.environ[ORDERS])
    if given["app_dir"] not in sys.path[:1]:
        sys.path.insert(0, given["app_dir"])
    return given


def leave(inbox: str, kind: str, **members: object) -> None:
    """Put one note into the inbox. Its ``at`` is the time on the monotonic clock, which all processes share."""
    now = time.monotonic()
    name = f"{int(now * 1e9):020d}-{os.getpid()}-{kind}"
    note = Path(inbox, f"{name}.part")
    note.write_text(json.dumps({"kind": kind, "at": now, **members}))
    note.rename(Path(inbox, f"{name}.json"))
