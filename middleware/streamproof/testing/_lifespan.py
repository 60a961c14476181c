"""An app's lifespan in a test (ASGI lifespan specification 2.0): startup, shutdown, and the state between.

Knows that an app may have none: one that raises or returns before it answers is taken to have none.
"""

from __future__ import annotations

from typing import Any

from ..sansio.errors import StreamProofError
from . import _loops


class LifespanFailed(StreamProofError):
    """The app said that its startup or shutdown failed."""


class Lifespan:
    """The lifespan of ``app``; ``state`` is what requests get a copy of."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._asked: list[str] = []
        self._answers: set[str] = set()
        self._error: Exception | None = None
        self._done = False
        self._message = ""

    async def startup(self) -> None:
        """Start the app up; raises LifespanFailed, or what its startup raised after it had answered."""
        loop = _loops.running()
        self._bell = loop.bell()
        self._asked.append("lifespan.startup")
        self._job = loop.spawn(self._run)
        await self._wait_for("startup")

    async def shutdown(self) -> None:
        """Shut it down, if it had started."""
        if self._done:
            return
        self._asked.append("lifespan.shutdown")
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
        while not self._asked:
            await self._bell.wait()
        return {"type": self._asked.pop(0)}

    async def _send(self, message: dict[str, Any]) -> None:
        self._answers.add(message["type"])
        self._message = str(message.get("message", ""))
        self._bell.ring()
