"""An app's lifespan in a test (ASGI lifespan specification 2.0): startup, shutdown, and the state between.

An app that raises or returns before it answers has no lifespan.
"""

from __future__ import annotations

from typing import Any

from ..sansio.errors import StreamProofError
from . import _loops


class LifespanFailed(StreamProofError):
    """The app reported that its startup or shutdown failed."""


class Lifespan:
    """The lifespan of ``app``. Each request gets a copy of ``state``."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._events: list[str] = []
        self._answers: set[str] = set()
        self._error: Exception | None = None
        self._done = False
        self._message = ""

    async def startup(self) -> None:
        """Start the app. Raises LifespanFailed, or an exception that the startup raises after its answer."""
        loop = _loops.running()
        self._bell = loop.bell()
        self._events.append("lifespan.startup")
        self._job = loop.spawn(self._run)
        await self._wait_for("startup")

    async def shutdown(self) -> None:
        """Shut it down, if it had started."""
        if self._done:
            return
        self._events.append("lifespan.shutdown")
        self._bell.ring()
        await self._wait_for("shutdown")
        while not self._done:
            await self._bell.wait()
        if self._error is not None:
            raise self._error

    async def _wait_for(self, phase: str) -> None:
        while not self._done and not self._answers & {f"lifespan.{phase}.complete", f"lifespan.{phase}.failed"}:
            await self._bell.wait()
        if f"lifespan.{phase}.failed" in self._answers:
            while not self._done:
                await self._bell.wait()
            if self._error is not None:
                raise self._error
            raise LifespanFailed(f"The app's {phase} failed: {self._message or 'it gave no reason'}.")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            self._error = error
        finally:
            self._done = True
            self._bell.ring()

    async def _receive(self) -> dict[str, Any]:
        while not self._events:
            await self._bell.wait()
        return {"type": self._events.pop(0)}

    async def _send(self, message: dict[str, Any]) -> None:
        self._answers.add(message["type"])
        self._message = str(message.get("message", ""))
        self._bell.ring()
