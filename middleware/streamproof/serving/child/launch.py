"""Choose the server for an app and become it: ``python -m streamproof.serving.child.launch``.

The process imports the app once to find its kind; if that fails, it reports one sentence. Then it replaces itself by
the server's own command line, which imports the app again, as in production. ``… werkzeug HOST PORT`` is a command line
for werkzeug's development server, which has none.
"""

from __future__ import annotations

import os
import sys

from ...app_kind import kind_of
from ...sansio.errors import StreamProofError
from .orders import leave, orders
from .servers import DEFAULT, server_named
from .target import load

FAILED = 3  # exit status; the sentence is in the inbox


def main(arguments: list[str]) -> int:
    """Boot the server. Returns only if the server ended or did not start."""
    if arguments:
        return _werkzeug(*arguments[1:])
    given = orders()
    try:
        kind = kind_of(load(given["target"]))
        server = server_named(given["server"] or DEFAULT[kind])
        command = server.command(kind, given["host"], given["port"], given["options"])
    except StreamProofError as error:
        leave(given["inbox"], "failed", message=str(error))
        return FAILED
    leave(given["inbox"], "launched", app_kind=kind, server=server.name)
    sys.stdout.flush()
    os.execv(command[0], command)


def _werkzeug(host: str, port: str) -> int:
    from werkzeug.serving import run_simple

    from .served import app

    run_simple(host, int(port), app, threaded=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
