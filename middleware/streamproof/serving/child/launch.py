"""The process that a server is booted in: it looks at the app, chooses the server, and becomes it.

``python -m streamproof.serving.child.launch`` imports the app once to see its kind, and prints one sentence if that
fails. Then it replaces itself by the server's own command line, which imports the app afresh as in production.
``… werkzeug HOST PORT`` is the command line that werkzeug's development server does not have.
"""

from __future__ import annotations

import os
import sys

from ...app_kind import kind_of
from ...sansio.errors import StreamProofError
from .orders import leave, orders
from .servers import USUAL, server_named
from .target import load

CANNOT = 3  # exit status; the sentence is in the inbox


def main(arguments: list[str]) -> int:
    """Boot; returns only when the server ended or never started."""
    if arguments:
        return _werkzeug(*arguments[1:])
    asked = orders()
    try:
        kind = kind_of(load(asked["target"]))
        server = server_named(asked["server"] or USUAL[kind])
        command = server.command(kind, asked["host"], asked["port"], asked["options"])
    except StreamProofError as error:
        leave(asked["inbox"], "failed", message=str(error))
        return CANNOT
    leave(asked["inbox"], "launched", app_kind=kind, server=server.name)
    sys.stdout.flush()
    os.execv(command[0], command)


def _werkzeug(host: str, port: str) -> int:
    from werkzeug.serving import run_simple

    from .served import app

    run_simple(host, int(port), app, threaded=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
