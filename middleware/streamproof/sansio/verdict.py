"""Say what became of a stream, in one word and one sentence.

The test is causal and needs no clock: a burst was held if it reached the reader only after the app had produced the
next one. The words of rules and fixes come from the profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .delivery import Comparison, compare
from .trace import Outcome, Trace

Word = Literal[
    "streams",
    "late",
    "in blocks",
    "held to the end",
    "cut",
    "refused",
    "lost its end",
    "failed",
    "not a stream",
]

#: A reader does not notice a tenth of a second (Nielsen, Usability Engineering, 1993, section 5.5), and half of it
#: stays for the other hops.
PROMPT = 0.05

#: Blocks that come no later than this still look like a stream of text: HAProxy's 200 ms step is under it.
TOLERABLE = 0.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """``word``, why in a ``sentence``, the ``rule`` that caused it and the cheapest ``fix``, both None when healthy."""

    word: Word
    sentence: str
    rule: str | None = None
    fix: str | None = None
    healthy: bool = True


def judge_production(trace: Trace) -> Verdict:
    """The verdict on what the app itself produced."""
    stats = trace.stats
    if trace.outcome in (Outcome.APP_ERROR, Outcome.CUT, Outcome.ABANDONED):
        why = trace.end.reason or str(trace.outcome)
        return Verdict("failed", f"the app broke off after {stats.bytes} B: {why}", healthy=False)
    if stats.chunks < 2:
        return Verdict("not a stream", f"{_count(stats.chunks, 'chunk')}, {stats.bytes} B", healthy=False)
    last = (stats.last_byte or 0.0) - (stats.first_byte or 0.0)
    return Verdict("streams", f"{stats.chunks} chunks, {stats.bytes} B over {last:.2f} s")


def judge_delivery(
    production: Trace, delivery: Trace, *, rule: str | None = None, fix: str | None = None
) -> tuple[Verdict, Comparison]:
    """The verdict on what the reader got of ``production``; ``rule`` and ``fix`` are the holder's, where known."""
    seen = compare(production, delivery)
    word, sentence = _word(production, delivery, seen)
    healthy = word in ("streams", "late") or (word == "in blocks" and seen.worst_lag <= TOLERABLE)
    if word in ("streams", "not a stream", "failed"):
        rule = fix = None
    elif rule is not None:
        sentence = f"{sentence}: {rule}"
    return Verdict(word, sentence, rule, None if healthy else fix, healthy), seen


def _word(production: Trace, delivery: Trace, seen: Comparison) -> tuple[Word, str]:
    end = delivery.end
    if end.outcome is Outcome.CLIENT_GONE and seen.produced and not seen.delivered:
        return "held to the end", f"none of {seen.lost} B had arrived when the reader left at {end.at:.2f} s"
    if delivery.response is None:
        return "refused", "no answer reached the reader"
    if production.response is not None and delivery.response.status != production.response.status:
        return "refused", f"the hop answered {delivery.response.status} itself"
    if end.outcome is Outcome.CUT:
        lost = f", {seen.lost} B lost" if seen.lost else ""
        return "cut", f"cut at {end.at:.2f} s by {end.by or 'a hop'} ({end.reason or end.how}){lost}"
    if production.outcome is Outcome.APP_ERROR and end.outcome is Outcome.COMPLETE:
        return "lost its end", "the app broke off, and the reader sees a complete response"
    total = sum(burst.size for burst in seen.produced)
    if len(seen.produced) < 2:
        return "not a stream", f"{_count(len(seen.produced), 'burst')} of {total} B"
    waited = f"{seen.worst_lag:.2f} s"
    if seen.all_at_the_end:
        return "held to the end", f"all {total} B at {seen.delivered[0].at:.2f} s, up to {waited} late"
    if not seen.delivered:
        return "held to the end", f"none of {total} B had left when it ended"
    if seen.held:
        return (
            "in blocks",
            f"{_count(len(seen.produced), 'burst')} became {len(seen.delivered)}, up to {waited} late",
        )
    if seen.worst_lag > PROMPT:
        return "late", f"every burst on its own, up to {waited} late"
    return "streams", f"{_count(len(seen.delivered), 'burst')}, worst lag {seen.worst_lag * 1000:.1f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
