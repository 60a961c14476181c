"""How a recorded WSGI response ended, told when its body is closed.

Knows what closed the body and what the app did before. Does not know the shapes of bodies.

How a stream ended, in this order:

1. what was known before (:meth:`~.recording.Recording.set_outcome`): the app raised, a hop cut it;
2. all blocks were taken: complete. If the app's ``close()`` raised then: app_error, and it is raised on;
3. closed earlier, the server being in an exception: SystemExit and its like as :func:`~.telling.stopped` says,
   a TypeError, ValueError or AssertionError: app_error (the server refused a block), any other: client_gone;
4. closed earlier without one: complete when the response has no body (HEAD, 1xx, 204, 304) or Content-Length is
   reached, client_gone otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ...sansio.http import content_length, has_body
from ...sansio.trace import Outcome
from ..recording import Recording, clock, stopped


def failed(recording: Recording, error: BaseException) -> None:
    """The app raised ``error`` while it was asked for a block."""
    if recording.gone:
        recording.set_outcome(Outcome.CLIENT_GONE)
    elif isinstance(error, Exception):
        recording.set_outcome(Outcome.APP_ERROR, None, type(error).__name__)
    else:
        recording.set_outcome(*stopped(error))


def close_stream(close: Callable[[], object] | None, recording: Recording) -> None:
    """Call the app's ``close`` and tell how the stream ended; raises what ``close`` raised."""
    raised = sys.exc_info()[1]
    early = recording.exhausted_at is None
    try:
        if close is not None:
            close()
    except BaseException as error:
        if not early:
            recording.set_outcome(Outcome.APP_ERROR, None, f"close() raised {type(error).__name__}")
        raise
    finally:
        recording.end(*(closed_early(recording, raised) if early else (Outcome.COMPLETE, None, None)))


def closed_early(recording: Recording, raised: BaseException | None) -> tuple[Outcome, str | None, str | None]:
    """How a stream ended that the server closed before its last block, ``raised`` being on its way there."""
    if raised is not None and not isinstance(raised, Exception | GeneratorExit):
        return stopped(raised)
    if isinstance(raised, TypeError | ValueError | AssertionError):
        return Outcome.APP_ERROR, None, type(raised).__name__
    trace = recording.recorder
    if raised is None and not recording.gone and (head := trace.head) is not None:
        length = content_length(head.headers)
        if not has_body(recording.method, head.status):
            return Outcome.COMPLETE, None, None
        if length is not None and trace.stats(clock()).bytes >= length:
            return Outcome.COMPLETE, None, None
    return Outcome.CLIENT_GONE, None, None


def close_whole(close: Callable[[], object] | None, recording: Recording) -> None:
    """The same for a body that was there at once: complete, unless the server is in an exception."""
    raised = sys.exc_info()[1]
    try:
        if close is not None:
            close()
    except BaseException as error:
        if not recording.exported:
            recording.set_outcome(Outcome.APP_ERROR, None, f"close() raised {type(error).__name__}")
        raise
    finally:
        if raised is None:
            recording.end(Outcome.COMPLETE, at=clock())
        else:
            recording.end(*closed_early(recording, raised), at=clock())
