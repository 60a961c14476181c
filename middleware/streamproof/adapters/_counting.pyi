from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from types import TracebackType
from typing import Any, Protocol, final

from ..sansio.stats import RunningStats as _RunningStats
from .recording import Recording

class _Watched(Protocol):
    async def send(self, message: Any) -> None: ...
    def refused(self, error: BaseException) -> None: ...
    def awaited(self, awaitable: Awaitable[object]) -> Coroutine[Any, Any, None]: ...

@final
class RunningStats(_RunningStats): ...  # as far as anybody can see

@final
class Blocks(Iterator[bytes]):
    def __new__(
        cls,
        source: Iterator[bytes],
        running: RunningStats,
        started_at: float,
        listener: Recording,
        clock: Callable[[], float] | None,
    ) -> Blocks: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

@final
class Sending(Coroutine[Any, Any, None]):
    def __await__(self) -> Generator[Any, Any]: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(self, typ: Any, val: Any = ..., tb: TracebackType | None = ..., /) -> Any: ...
    def close(self) -> None: ...

@final
class Sender:
    def __new__(
        cls,
        source: Callable[[Any], Awaitable[object]],
        running: RunningStats,
        started_at: float,
        listener: _Watched,
        clock: Callable[[], float] | None,
    ) -> Sender: ...
    def __call__(self, message: Any) -> Coroutine[Any, Any, None]: ...
