"""What a booted server is told by the process that booted it, and how it answers.

Orders come in one environment variable. Answers are notes in a folder, the inbox: every note is a file of its own,
written under another name and then renamed, so whichever worker process or thread serves, the parent reads only whole
notes.
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
    """What the parent asked for; the user's folder is put first on ``sys.path``, as the servers do."""
    found: dict[str, Any] = json.loads(os.environ[ORDERS])
    if found["app_dir"] not in sys.path[:1]:
        sys.path.insert(0, found["app_dir"])
    return found


def leave(inbox: str, kind: str, **members: object) -> None:
    """Put one note into the inbox. ``at`` is the monotonic clock, which is the same for all processes."""
    now = time.monotonic()
    name = f"{int(now * 1e9):020d}-{os.getpid()}-{kind}"
    note = Path(inbox, f"{name}.part")
    note.write_text(json.dumps({"kind": kind, "at": now, **members}))
    note.rename(Path(inbox, f"{name}.json"))
