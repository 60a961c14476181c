"""The command line: ``streamproof COMMAND``. Selects the command and prints its errors.

Each command is a module of its own with ``add(commands)``, which declares its arguments and its
``run(arguments) -> int``. Exit status: 0 healthy, 1 findings, 2 cannot run; 130 and 143 when interrupted or terminated.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from .. import __version__
from ..adapters import compiled
from ..sansio.errors import StreamProofError
from . import check, probe, profiles, proxy, replay, settings

COMMANDS = (check, probe, proxy, replay, profiles, settings)

FINDINGS = 1
CANNOT_RUN = 2
INTERRUPTED = 130
TERMINATED = 143

EPILOG = """\
exit status:
  0    healthy
  1    findings: a hop held, cut or lost the stream
  2    wrong usage, or the command cannot run: no such app, no server, a port in use
  130  interrupted

examples:
  streamproof check app:app /stream
  streamproof check http://127.0.0.1:8000/stream --via nginx
  streamproof probe https://example.com/events
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    top = argparse.ArgumentParser(
        prog="streamproof",
        description="Find out which hop holds your streamed response.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    counting = "in Python" if compiled.counting is None else "compiled"
    top.add_argument("--version", action="version", version=f"streamproof {__version__} (counting: {counting})")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Only a bug in streamproof raises."""
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else CANNOT_RUN
    try:
        with _unwinding():
            status = arguments.run(arguments)
            sys.stdout.flush()
        return int(status)
    except StreamProofError as error:
        sys.stdout.flush()
        print(f"streamproof: {error}", file=sys.stderr)
        return CANNOT_RUN
    except KeyboardInterrupt:
        print("streamproof: interrupted", file=sys.stderr)
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except BrokenPipeError:
        # The reader of our output has gone. Without this the interpreter reports it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS


class _Terminated(BaseException):
    """Raised on SIGTERM or SIGHUP, so that context managers stop the booted server."""


@contextmanager
def _unwinding() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the running command, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = [(number, signal.signal(number, _terminated)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise _Terminated
