"""Diagnose a stream at one vantage point: what arrived there, what held it before, and the cure. :func:`diagnose`.

It watches a replay step by step to find the stage that held most. The replay is in ``replay.py``, the verdicts are in
``sansio/verdict.py``, the cures in the profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as dataclass_replace

from ..profiles import Profile, Via, resolve
from ..sansio.delivery import Burst, compare
from ..sansio.hop import Chain, Rule
from ..sansio.http import tokens
from ..sansio.machine import Stage
from ..sansio.trace import Trace
from ..sansio.verdict import Verdict, judge_delivery, judge_production
from .replay import replay


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result at one vantage point: ``app``, ``server`` or a via's text.

    ``worst_lag`` is in seconds, ``held`` in bytes (the most held at once). ``grade`` is that of the weakest fact used;
    None if nothing was emulated.
    """

    vantage: str
    delivery: Trace
    bursts: tuple[Burst, ...]
    worst_lag: float
    held: int
    verdict: Verdict
    grade: str | None = None


class _Holders:
    """Watch a replay and add up, for each stage, the bytes held times the seconds."""

    def __init__(self) -> None:
        self._since = 0.0
        self._seen: dict[Stage, _Holder] = {}

    def __call__(self, chain: Chain, now: float) -> None:
        for holder in self._seen.values():
            holder.byte_seconds += holder.held * (now - self._since)
            holder.held = 0
        for hop in chain.hops:
            for rule, stage in hop.stages:
                if stage not in self._seen:
                    self._seen[stage] = _Holder(hop.plan.name, rule)
                self._seen[stage].held = stage.held
        self._since = now

    def worst(self) -> tuple[str, Rule] | None:
        """Return the hop and its rule that held most; None if nothing was held for any time."""
        most = max(self._seen.values(), key=lambda holder: holder.byte_seconds, default=None)
        return None if most is None or most.byte_seconds <= 0.0 else (most.hop, most.rule)


@dataclass(slots=True)
class _Holder:
    """One stage of a hop: the bytes it holds now, and its bytes times seconds so far."""

    hop: str
    rule: Rule
    held: int = 0
    byte_seconds: float = 0.0


def diagnose(trace: Trace, via: str | Profile | Via | None, *, measured: Trace | None = None) -> Diagnosis:
    """Return the diagnosis of the app's recording ``trace`` behind the hops of ``via``.

    If ``via`` is None, the vantage point is the app itself, or the server with ``measured`` (what a reader of the app's
    server received). Raises what :func:`streamproof.replay` raises.
    """
    if via is None and measured is None:
        seen = compare(trace, trace)
        return Diagnosis("app", trace, seen.produced, 0.0, 0, judge_production(trace))
    if via is None:
        assert measured is not None
        verdict, seen = judge_delivery(trace, measured, rule="between the app and its server's socket")
        return Diagnosis("server", measured, seen.delivered, seen.worst_lag, seen.most_held, verdict)
    chain = resolve(via)
    holders = _Holders()
    delivery = replay(trace, chain, watch=holders)
    rule, fix = _cause(chain, delivery, trace, holders)
    verdict, seen = judge_delivery(trace, delivery, rule=rule, fix=fix)
    if not verdict.healthy and (cure := _proven(chain, trace)) is not None:
        verdict = dataclass_replace(verdict, fix=cure)
    return Diagnosis(chain.text, delivery, seen.delivered, seen.worst_lag, seen.most_held, verdict, chain.grade)


def _cause(chain: Via, delivery: Trace, trace: Trace, holders: _Holders) -> tuple[str | None, str | None]:
    """Return the texts of the rule that explains the delivery, and of its cure."""
    answered = (
        delivery.response is not None
        and trace.response is not None
        and delivery.response.status != trace.response.status
    )
    if delivery.outcome == "cut" or answered:
        for plan in chain.plans:
            for rule in plan.rules:
                if rule.cuts and rule.why and delivery.end.by in (None, getattr(rule.settings, "name", None)):
                    return _named(chain, plan.name, rule.why), rule.fix or None
    if (worst := holders.worst()) is None:
        return None, None
    name, rule = worst
    return _named(chain, name, rule.why), rule.fix or None


def _proven(chain: Via, trace: Trace) -> str | None:
    """Return the first of the chain's cures, as a header field, with which a replay of the recording streams."""
    response = trace.response
    if response is None:
        return None
    for name, value in dict.fromkeys(cure for plan in chain.plans for rule in plan.rules for cure in rule.cures):
        if value in tokens(response.headers, name.lower()):
            continue
        cured = response._replace(headers=(*response.headers, (name, value)))
        with_header = dataclass_replace(trace, response=cured)
        if judge_delivery(with_header, replay(with_header, chain))[0].healthy:
            return f"send `{name}: {value}` (replayed: the response then streams)"
    return None


def _named(chain: Via, hop: str, why: str) -> str:
    """Return the rule's text, with the hop's name if there is more than one hop."""
    return f"{hop}: {why}" if len(chain.plans) > 1 else why
