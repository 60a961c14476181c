"""The folder in which gunicorn's processes share their Prometheus counts: made at boot, removed at the end.

prometheus_client reads PROMETHEUS_MULTIPROC_DIR when it is imported, so the variable is set before the user's
configuration, which may import it, is read. When the hooks run is decided in ``hooks.py``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..settings.loading import Settings

#: The files of prometheus_client's multiprocess mode: type, gauge mode, process (values.py, MultiProcessValue).
_COUNT_FILE = re.compile(
    r"(?:counter|histogram|summary|gauge_(?:live)?(?:all|min|max|sum|mostrecent))_([1-9][0-9]{0,6})\.db", re.ASCII
)
_temporary: str | None = None
_owner = 0  # the process that removes it


def share(settings: Settings) -> bool:
    """Make the folder and name it in the environment. Returns False if the settings need none or one is named."""
    global _temporary, _owner
    if not (settings.prometheus or settings.metrics_path) or "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return False
    folder = settings.prometheus_dir
    if folder is None:
        folder = _temporary = tempfile.mkdtemp(prefix="streamproof-counts-")
        _owner = os.getpid()
        atexit.register(remove)
    else:
        os.makedirs(folder, exist_ok=True)
        delete_dead_counts(folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return True


def unshare() -> None:
    """Undo :func:`share`, because the boot failed."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    remove()


def adopt() -> None:
    """Make this process the one that removes the temporary folder: a daemon has another number than its launcher."""
    global _owner
    if _temporary is not None:
        _owner = os.getpid()
        os.makedirs(_temporary, exist_ok=True)


def remove() -> None:
    """Remove the temporary folder, if this process owns it."""
    global _temporary
    if _temporary is not None and _owner == os.getpid():
        shutil.rmtree(_temporary, ignore_errors=True)
        _temporary = None


def delete_dead_counts(folder: str) -> None:
    """Delete the counts that dead processes left in ``folder``. Any other file stays."""
    for path in Path(folder).iterdir():
        if (found := _COUNT_FILE.fullmatch(path.name)) and not _is_alive(int(found[1])):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    """Does the process ``pid`` count into its file? This one does not before it has imported the client."""
    if pid == os.getpid():
        return "prometheus_client" in sys.modules
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True


def forget_worker(worker: Any) -> None:
    """Take the gauges of a dead worker out of the sum."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        try:
            from ..exporters.prometheus import process_died

            process_died(worker.pid)
        except (ImportError, OSError):  # the folder may belong to the application alone
            worker.log.exception("streamproof could not remove the gauges of a dead worker.")
