"""The ASGI middleware: :class:`StreamMiddleware` records the responses of an app, and carries out a policy and a via.

Options and wiring only. What records a response is in ``adapters/asgi/recording.py``; what moves a response through a
policy and hops is in ``adapters/asgi/driver.py``. Without either, messages, scope and the app's return value are the
very objects that they were. Scopes of another type than http (websocket, lifespan) go to the app unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .adapters.asgi.recording import Watched, begun
from .adapters.asgi.scope import App, Receive, Scope, Send
from .adapters.recording import Listener, Listeners
from .adapters.via import Route

if TYPE_CHECKING:
    from .adapters.budgets import OnViolation
    from .adapters.policy import PreparedPolicy
    from .profiles import Profile, Via
    from .sansio.findings import Budget
    from .sansio.flush import FlushPolicy


class StreamMiddleware:
    """Wrap an ASGI app.

    Args:
        app: The app, a single callable (ASGI 3.0; :func:`streamproof.wrap` converts an ASGI 2.0 app).
        via: Hops to emulate between the app and its server, such as ``"nginx:gzip=on"``. They hold, cut and compress as
            the real ones would. For development: one warning in the log says so. None emulates nothing.
        on_trace: One or more callables. Each is called with the :class:`~streamproof.Trace` of every response when it
            has ended, in the event loop's thread, before background tasks. One that raises is logged once and dropped.
        keep_chunks: False keeps statistics only (constant memory), True every chunk with its bytes, a number the first
            so many chunks.
        keep_data: False keeps the sizes and times of those chunks without their bytes.
        policy: What is done to streams (:class:`~streamproof.sansio.flush.FlushPolicy`). Other responses pass
            unchanged. A trace shows what left the policy. None does nothing.
        budget: What a stream may take (:class:`~streamproof.Budget`).
        on_violation: One or more of ``"log"``, ``"metric"``, ``"raise"`` (where the stream ends) and callables
            ``(finding, trace)``, for streams that overran the budget.

    Without ``policy``, ``via`` and ``on_trace`` a call goes straight to the app.

    Raises:
        ConfigurationError: ``via`` names an unknown profile or option, ``on_trace`` cannot be called, the policy names
            a coding that is not installed, or an option is of the wrong type.
    """

    def __init__(
        self,
        app: App,
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
        #: The app for scopes of another type than http.
        self.others = app
        self._listeners = Listeners(on_trace)
        self._keep_chunks, self._keep_data = keep_chunks, keep_data
        self._route = None if via is None else Route(via)
        self._begin: Any = None
        if self._prepared is not None or self._route is not None:
            from .adapters.asgi.driver import begin

            self._begin = begin

    # Exactly these parameters: uvicorn takes an app that can be called without any for a factory.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        try:
            http = scope["type"] == "http"
        except (KeyError, TypeError):  # asgiref's StatelessServer: the scope may be an address
            http = False
        if not http:
            return await self.others(scope, receive, send)
        recording = begun(scope, self._keep_chunks, self._listeners, self._keep_data) if self._listeners else None
        if self._begin is not None:
            driver = self._begin(self._prepared, self._route, recording, scope, receive, send)
            if driver is not None:
                return await driver.run(self._app, driver.inside(scope))
        if recording is None:
            return await self._app(scope, receive, send)
        # The same as recorded(), without its coroutine, which every open stream would keep in memory.
        watched = Watched(recording, receive, send)
        try:
            result = await self._app(scope, watched, watched.sender())
        except BaseException as error:
            await watched.raised(error)
            raise
        watched.returned()
        return result
