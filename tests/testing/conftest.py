"""Fixtures of the transports' tests: both client libraries, both event loops, a clock that steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from streamproof.testing.clocks import SteppedClock, stepped

from ..support.testing_apps import need
from ..support.transport_streams import on_asyncio, on_trio

LIBRARIES = ["httpx", "httpx2"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    need(request.param)
    return import_module(request.param)


@pytest.fixture
def clock() -> Iterator[SteppedClock]:
    with stepped() as clock:
        yield clock


@pytest.fixture(params=[on_asyncio, on_trio], ids=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    return request.param  # type: ignore[no-any-return]
