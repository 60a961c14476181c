"""The WSGI middleware: :class:`StreamMiddleware` records the responses of an app, and carries out a policy and a via.

Options and wiring only. What stands in for the app's bodies is in ``adapters/wsgi/bodies.py``; what moves a response
through a policy and hops is in ``adapters/wsgi/driver.py``. Without either, the bytes, their framing, ``sendfile``,
Content-Length and the moment of each block stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .adapters import compiled
from .adapters.recording import UNREAD, Listener, Listeners, Recording, clock
from .adapters.via import Route
from .adapters.wsgi.bodies import recorded
from .adapters.wsgi.environ import request_of, server_of, target_of, version_and_fields
from .sansio.http import Headers, status_code
from .sansio.recorder import Recorder
from .sansio.stats import size_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .adapters.budgets import OnViolation
    from .adapters.policy import PreparedPolicy
    from .profiles import Profile, Via
    from .sansio.findings import Budget
    from .sansio.flush import FlushPolicy


class StreamMiddleware:
    """Wrap a WSGI app.

    Args:
        app: The app.
        via: Hops to emulate between the app and its server, such as ``"nginx:gzip=on"``. They hold, cut and compress as
            the real ones would. For development: one warning in the log says so. None emulates nothing.
        on_trace: One or more callables. Each is called with the :class:`~streamproof.Trace` of every response when it
            has ended, in the thread that closed it. One that raises is logged once and dropped.
        keep_chunks: False keeps statistics only (constant memory), True every chunk with its bytes, a number the first
            so many chunks.
        keep_data: False keeps the sizes and times of those chunks without their bytes.
        policy: What is done to streams (:class:`~streamproof.sansio.flush.FlushPolicy`). Other responses pass
            unchanged. A trace shows what left the policy. None does nothing.
        budget: What a stream may take (:class:`~streamproof.Budget`).
        on_violation: One or more of ``"log"``, ``"metric"``, ``"raise"`` (where the stream ends) and callables
            ``(finding, trace)``, for streams that overran the budget.

    Without ``policy``, ``via`` and ``on_trace`` a call returns what the app returns.

    Raises:
        ConfigurationError: ``via`` names an unknown profile or option, ``on_trace`` cannot be called, the policy names
            a coding that is not installed, or an option is of the wrong type.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        via: str | Profile | Via | None = None,
        on_trace: Listener | Iterable[Listener] = (),
        keep_chunks: bool | int = False,
        keep_data: bool = True,
        policy: FlushPolicy | None = None,
        budget: Budget | None = None,
        on_violation: OnViolation = "log",
    ) -> None:
        self._app = app
        self._prepared: PreparedPolicy | None = None
        if policy is not None or budget is not None:
            from .adapters.budgets import prepare

            self._prepared, on_trace = prepare(policy, budget, on_violation, on_trace)
        self._listeners = Listeners(on_trace)
        self._keep_chunks, self._keep_data = keep_chunks, keep_data
        self._route = None if via is None else Route(via)
        self._run: Any = None
        if self._prepared is not None or self._route is not None:
            from .adapters.wsgi.driver import run  # now: a reader does not wait for an import

            self._run = run

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._prepared is None and self._route is None:
            return self._recorded(environ, start_response)
        request, prepared = request_of(environ), self._prepared
        if prepared is not None and not prepared.policy.possible(request):
            prepared = None
        if prepared is None and self._route is None:
            return self._recorded(environ, start_response)
        recording = self._recording(environ) if self._listeners else None
        body: Iterable[bytes] = self._run(self._app, environ, start_response, request, prepared, self._route, recording)
        return body

    def _recording(self, environ: WSGIEnvironment) -> Recording:
        server = server_of(environ.get("SERVER_SOFTWARE"))
        keep, data, running = self._keep_chunks, self._keep_data, compiled.running_stats()
        recorder = Recorder(UNREAD, clock(), keep_chunks=keep, keep_data=data, server=server, running=running)
        return _Recording(recorder, environ.get("REQUEST_METHOD", "GET"), environ, self._listeners)

    def _recorded(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._listeners:
            return self._app(environ, start_response)
        recording, file_wrapper = self._recording(environ), environ.get("wsgi.file_wrapper")
        try:
            result = self._app(environ, partial(_start, recording, start_response))
        except BaseException as error:
            recording.finish("raised", error=error)
            raise
        return recorded(result, recording, file_wrapper)  # type: ignore[no-any-return]


class _Recording(Recording):
    __slots__ = ("_target",)

    def __init__(self, recorder: Recorder, method: str, request_source: Any, listeners: Listeners) -> None:
        self._target = target_of(request_source)  # now: apps and middlewares write to their environ
        super().__init__(recorder, method, request_source, listeners)

    @property
    def target(self) -> str:
        return self._target

    def _version_and_fields(self) -> tuple[str, Headers]:
        return version_and_fields(self._request_source)


def _start(recording: Recording, start_response: Any, status: str, headers: Any, exc_info: Any = None) -> Any:
    """Call the server's start_response, then record the head. A head that the server refuses is not recorded."""
    if exc_info is None:
        write = start_response(status, headers)
    else:
        try:
            write = start_response(status, headers, exc_info)
        finally:
            exc_info = None  # PEP 3333: avoid a cycle through the traceback
    code = status_code(status)
    if code is not None and isinstance(headers, (list, tuple)):
        try:  # noqa: SIM105 - contextlib.suppress costs half a microsecond a response
            recording.head(code, tuple(headers))
        except (TypeError, ValueError, AttributeError):  # fields that cannot be read are not recorded
            pass
    return None if write is None else partial(_write, recording, write)


def _write(recording: Recording, write: Callable[[bytes], object], data: bytes) -> object:
    recorder = recording.recorder
    size, produced = size_of(data), clock()
    kept = bytes(data) if size and recorder.keeps else None
    try:
        result = write(data)
    except BaseException as error:
        recorder.chunk(produced, size, None, kept)
        recording.gone = recording.gone or isinstance(error, OSError)
        raise
    recorder.chunk(produced, size, clock(), kept)
    return result
