"""Streaming tests that can fail: transports that stream, causal proof, virtual time, the stream contract.

It does not need pytest, and importing it imports no other module: each name is loaded when it is used. The fixtures of
the pytest plugin are built on these names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..adapters.taps import tap
    from .buffering import buffered
    from .clients import streaming
    from .clocks import ClockError, SteppedClock, VirtualClock, VirtualLoop, stepped
    from .contract import Broken, ContractBroken, ContractReport, check_stream_contract, examine_contract
    from .lockstep import Held, NotStopped, assert_stops, assert_stops_async, assert_streams, assert_streams_async
    from .recorded import RecordedTrace, Within, recording, trace_of
    from .server_behavior import SERVER_BEHAVIORS, ServerBehavior
    from .transports import Transport, async_client, client

_WHERE = {
    "Broken": ".contract",
    "ClockError": ".clocks",
    "ContractBroken": ".contract",
    "ContractReport": ".contract",
    "Held": ".lockstep",
    "SERVER_BEHAVIORS": ".server_behavior",
    "ServerBehavior": ".server_behavior",
    "NotStopped": ".lockstep",
    "RecordedTrace": ".recorded",
    "SteppedClock": ".clocks",
    "Transport": ".transports",
    "VirtualClock": ".clocks",
    "VirtualLoop": ".clocks",
    "Within": ".recorded",
    "assert_stops": ".lockstep",
    "assert_stops_async": ".lockstep",
    "assert_streams": ".lockstep",
    "assert_streams_async": ".lockstep",
    "async_client": ".transports",
    "check_stream_contract": ".contract",
    "client": ".transports",
    "examine_contract": ".contract",
    "buffered": ".buffering",
    "recording": ".recorded",
    "stepped": ".clocks",
    "streaming": ".clients",
    "tap": "..adapters.taps",
    "trace_of": ".recorded",
}

__all__ = [
    "SERVER_BEHAVIORS",
    "Broken",
    "ClockError",
    "ContractBroken",
    "ContractReport",
    "Held",
    "ServerBehavior",
    "NotStopped",
    "RecordedTrace",
    "SteppedClock",
    "Transport",
    "VirtualClock",
    "VirtualLoop",
    "Within",
    "assert_stops",
    "assert_stops_async",
    "assert_streams",
    "assert_streams_async",
    "async_client",
    "check_stream_contract",
    "client",
    "examine_contract",
    "buffered",
    "recording",
    "stepped",
    "streaming",
    "tap",
    "trace_of",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
