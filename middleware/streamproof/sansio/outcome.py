"""Decide how a response ended: :func:`decide`, one table for every carrier.

What a carrier saw comes in as plain facts. What is recorded of a response is in ``recorder.py``; the outcomes
themselves are in ``trace.py``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .http import content_length, has_body
from .trace import NEVER_CLOSED, Outcome, Response

#: What happened last: downstream took the whole body; the app raised; the server closed a WSGI body before its last
#: block; an ASGI app returned; the response was collected as garbage before anything else.
Event = Literal["complete", "raised", "closed", "returned", "collected"]

#: What a server raises when it refuses a block or a message of the app's: wsgiref and gunicorn assert or check types.
_REFUSALS = (TypeError, ValueError, AssertionError)

#: Exceptions that stop a worker or a task from outside, by name: ``sansio`` imports no event loop.
_STOPS = frozenset(("KeyboardInterrupt", "GreenletExit", "CancelledError", "Cancelled"))


class Ending(NamedTuple):
    """How a response ended, which hop ended it, and why."""

    outcome: Outcome
    by: str | None = None
    reason: str | None = None


COMPLETE = Ending(Outcome.COMPLETE)
#: Complete, but nobody called ``close()``, which PEP 3333 demands.
NOT_CLOSED = Ending(Outcome.COMPLETE, None, NEVER_CLOSED)
CLIENT_GONE = Ending(Outcome.CLIENT_GONE)


def decide(
    event: Event,
    *,
    known: Ending | None = None,
    reader_gone: bool = False,
    error: BaseException | None = None,
    received_all: bool = False,
    reported_failure: str | None = None,
) -> Ending:
    """Return how a response ended after ``event``. The first rule that applies counts:

    1. Somebody knew before (``known``): a hop cut it, a server's hook said that it stops the worker.
    2. ``complete``: the policy's error event stood in for the app's exception (``reported_failure``, its name):
       app_error. ``error`` came from the app's ``close()``: app_error. The reader had left before the last message
       (``reader_gone``; ASGI servers drop messages silently then): client_gone. Otherwise complete.
    3. The reader left (``reader_gone``: ``send`` or ``write`` raised OSError, or ``receive`` gave http.disconnect; ASGI
       specification, "Disconnected Client"): client_gone.
    4. ``raised``: what ``error`` means (:func:`of_error`).
    5. ``closed``, while the server handled ``error``: what stops a worker as in 4; a refusal of the app's block
       (TypeError, ValueError, AssertionError): app_error; any other: client_gone. Without an error: complete when
       the reader ``received_all`` (HEAD, 1xx, 204, 304, or Content-Length is reached), else client_gone. PEP 3333,
       "Handling the close() Method".
    6. ``returned``: an ASGI app that did not send its last body message: app_error.
    7. ``collected``: abandoned. A body that was handed over whole before that is known (rule 1) to be complete, and
       with more than one chunk to be :data:`NOT_CLOSED`.
    """
    if known is not None:
        return known
    if event == "complete":
        if reported_failure is not None:
            return Ending(Outcome.APP_ERROR, None, reported_failure)
        if error is not None:
            return Ending(Outcome.APP_ERROR, None, f"close() raised {type(error).__name__}")
        return CLIENT_GONE if reader_gone else COMPLETE
    if reader_gone:
        return CLIENT_GONE
    if event == "raised":
        return of_error(error)
    if event == "closed":
        if error is not None and not isinstance(error, Exception | GeneratorExit):
            return of_error(error)
        if isinstance(error, _REFUSALS):
            return Ending(Outcome.APP_ERROR, None, type(error).__name__)
        return COMPLETE if error is None and received_all else CLIENT_GONE
    if event == "returned":
        return Ending(Outcome.APP_ERROR, None, "returned without completing the response")
    return Ending(Outcome.ABANDONED)


def of_error(error: BaseException | None) -> Ending:
    """Return what ``error`` says about the stream that it ended.

    An Exception is the app's. A server that stops a worker raises SystemExit inside whatever runs there: with 0 when it
    is asked to quit, with another status when the worker took too long (gunicorn/workers/base.py, ``handle_quit`` and
    ``handle_abort``). KeyboardInterrupt, gevent's GreenletExit and a canceled task stop it, too. GeneratorExit means
    that nobody iterates any more. Any other, such as gevent's Timeout, is somebody's time limit.
    """
    name = type(error).__name__
    if isinstance(error, SystemExit):
        if error.code in (None, 0):
            return Ending(Outcome.SHUTDOWN, None, name)
        reason = f"SystemExit({error.code!r}): the worker was stopped, maybe at its timeout"
        return Ending(Outcome.CUT, "server", reason)
    if isinstance(error, GeneratorExit):
        return Ending(Outcome.ABANDONED)
    if name in _STOPS:
        return Ending(Outcome.SHUTDOWN, None, name)
    if isinstance(error, Exception):
        return Ending(Outcome.APP_ERROR, None, name)
    return Ending(Outcome.CUT, "server", name)


def has_received_all(method: str, head: Response | None, size: int) -> bool:
    """Return whether ``size`` bytes are the whole body of the response with ``head`` to a ``method`` request.

    True for a response that has no body (RFC 9110 section 6.4.1) and where Content-Length is reached.
    """
    if head is None:
        return False
    length = content_length(head.headers)
    return not has_body(method, head.status) or (length is not None and size >= length)
