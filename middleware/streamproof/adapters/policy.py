"""Prepare a policy for this process, compressors and heartbeat size included: :class:`PreparedPolicy`.

The policy itself is in ``sansio/flush/policy.py``. The drivers of both protocols start its machine.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..sansio.errors import ConfigurationError
from ..sansio.flush import FlushPolicy
from ..sansio.flush.policy import FlushMachine
from ..sansio.framing import EVENTS
from ..sansio.http import Headers
from ..sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace
from .codings import coders

if TYPE_CHECKING:
    from ..profiles import Profile, Via

#: Event sizes before a silence, bytes: small, and just below and above one and two memory pages.
_EVENTS = (20, 777, 4090, 4100, 9000)
_SILENCE = 5.0  # seconds; shorter than the time limits of all known hops
_LARGEST = 1 << 17  # bytes; a heartbeat of more than this is a download


class PreparedPolicy:
    """``policy`` with its compressors and the size of its heartbeats.

    Raises ConfigurationError if a coding's library is not installed, or if no heartbeat frees what the hops of
    ``heartbeat_via`` hold.
    """

    def __init__(self, policy: FlushPolicy) -> None:
        if not isinstance(policy, FlushPolicy):
            raise ConfigurationError(
                f"policy is {policy!r}. Expected a FlushPolicy, as from FlushPolicy.for_sse(). "
                "Are its parentheses missing?"
            )
        if policy.heartbeat_via is not None:
            size = beat_size(policy.heartbeat_via, policy)
            policy = replace(policy, heartbeat_size=max(size, policy.heartbeat_size))
        self.policy = policy
        self._coders = coders(policy.compress)

    @cached_property
    def without_clock(self) -> PreparedPolicy:
        """The same policy without what needs a clock: without heartbeats, and without chunks that wait for others."""
        policy = self.policy
        if policy.timed:
            policy = replace(
                policy,
                heartbeat=None,
                heartbeat_size=0,
                heartbeat_via=None,
                before_first_byte=False,
                max_delay=0.0,
                min_size=0,
            )
        return PreparedPolicy(policy)

    def start(self, request: Request, now: float) -> FlushMachine:
        """Return the machine of one stream whose request came at ``now`` (seconds)."""
        return self.policy.start(request, now, self._coders)


def beat_size(via: str | Profile | Via, policy: FlushPolicy) -> int:
    """Return how many bytes a heartbeat needs so that the hops of ``via`` release everything before it.

    The size is found by replaying event streams with the head that ``policy`` gives them. Raises ConfigurationError if
    even the largest heartbeat is too small (a hop that holds the whole body), or if ``via`` cannot be resolved.
    """
    from ..profiles import resolve

    chain = resolve(via)
    low, high = 0, 16
    while not _frees(chain, policy, high):
        low, high = high, high * 4
        if high > _LARGEST:
            raise ConfigurationError(
                f"heartbeat_via={chain.text!r} holds what came before a heartbeat of {_LARGEST} B, too. Expected hops "
                "that let go when enough bytes come. Does one of them keep the whole body?"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _frees(chain, policy, middle) else (middle, high)
    return high


def _frees(chain: Via, policy: FlushPolicy, size: int) -> bool:
    from ..analysis.replay import replay

    assert EVENTS.beat is not None
    head = _head(policy)
    for event in _EVENTS:
        data = [b":" + b"x" * (event - 3) + b"\n\n", *(EVENTS.beat(size, serial) for serial in (1, 2, 3))]
        chunks = tuple(Chunk(index * _SILENCE, len(one), None, one) for index, one in enumerate(data))
        end = StreamEnd(len(data) * _SILENCE, Outcome.COMPLETE)
        seen = replay(Trace(Request(), Response(200, head), chunks, end), chain).chunks
        for index in range(1, len(data)):
            before = sum(map(len, data[:index]))
            if sum(chunk.size for chunk in seen if chunk.at < (index + 0.5) * _SILENCE) < before:
                return False
    return True


def _head(policy: FlushPolicy) -> Headers:
    from ..sansio.flush.annotate import annotate

    return annotate(
        (("Content-Type", "text/event-stream"),),
        accel_buffering=policy.accel_buffering,
        no_transform=policy.no_transform,
        incremental=policy.incremental,
    )
