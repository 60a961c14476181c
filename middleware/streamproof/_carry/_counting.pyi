from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from types import TracebackType
from typing import Any, final

from ..sansio.figures import Tally
from .telling import Recording

@final
class Blocks(Iterator[bytes]):
    def __new__(
        cls,
        iterator: Iterator[bytes],
        tally: Tally,
        started_at: float,
        recording: Recording,
        failed: Callable[[Recording, BaseException], object],
        clock: Callable[[], float] | None,
    ) -> Blocks: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...
    def look(self) -> tuple[int, int, float] | None: ...

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
        send: Callable[[Any], Awaitable[object]],
        tally: Tally,
        started_at: float,
        other: Callable[[Any], Awaitable[None]],
        refused: Callable[[BaseException, float, int, None], object],
        clock: Callable[[], float] | None,
    ) -> Sender: ...
    def __call__(self, message: Any, /) -> Sending: ...
    def settle(self) -> None: ...
    def look(self) -> tuple[int, int, float] | None: ...

def clock() -> float: ...
