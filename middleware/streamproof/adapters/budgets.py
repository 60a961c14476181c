"""Act on streams that overran their budget: log, count, raise or call a function. :class:`BudgetWatch`.

Whether a stream overran it is decided in ``sansio/findings.py``. A watch is a listener like any other, except that
``raise`` reaches the server (and a test) as :class:`BudgetExceeded`. Both middlewares get it from :func:`prepare`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from ..sansio.errors import ConfigurationError
from ..sansio.findings import Budget, Finding, examine
from ..sansio.flush import FlushPolicy
from ..sansio.trace import Trace
from ..sansio.untrusted import plain
from . import holds
from .policy import PreparedPolicy
from .recording import BudgetExceeded, Listener, Recording, log

Action = Literal["log", "metric", "raise"] | Callable[[Finding, Trace], object]
OnViolation = Action | Sequence[Action]

#: How many findings of each code this process has made (``on_violation="metric"``).
violations: Counter[str] = Counter()

#: A policy that changes nothing: ``max_hold`` needs one to see what is held inside.
_ONLOOKER = FlushPolicy(
    accel_buffering=False,
    no_transform=False,
    incremental=False,
    yield_to_loop=False,
    on_disconnect="ignore",
    on_hold="count",
)


class BudgetWatch:
    """Examine each trace against ``budget``. Raises ConfigurationError for an unknown action."""

    def __init__(self, budget: Budget, on_violation: OnViolation = "log") -> None:
        if not isinstance(budget, Budget):
            raise ConfigurationError(
                f"budget is {budget!r}. Expected a Budget, as Budget(max_silence=15). Are its parentheses missing?"
            )
        one = isinstance(on_violation, str) or callable(on_violation)
        self._actions: tuple[Action, ...] = (on_violation,) if one else tuple(on_violation)  # type: ignore[assignment,arg-type]
        for action in self._actions:
            if not callable(action) and action not in ("log", "metric", "raise"):
                raise ConfigurationError(
                    f"on_violation has {action!r}. Expected log, metric, raise or a callable (finding, trace). "
                    "Is it mistyped?"
                )
        self._budget = budget

    def __call__(self, trace: Trace) -> None:
        self._act(_over(trace, self._budget), trace)

    def opened(self, recording: Recording) -> None:
        """Do nothing: the response has only begun."""

    def headed(self, recording: Recording) -> None:
        """Do nothing: the response has only a head."""

    def ended(self, recording: Recording, trace: Trace) -> None:
        """Examine the finished ``trace``. Raises BudgetExceeded if ``raise`` is among the actions."""
        found = list(_over(trace, self._budget))
        watch, limit = recording.request_source.get(holds.KEY), self._budget.max_hold
        if isinstance(watch, holds.Watch) and limit is not None and (held := watch.longest_hold()) > limit:
            hint = "Which layer inside holds it? Put the tap one layer further out to see."
            found.append(Finding("SP104", "held", f"{held:.3f} s, the budget is {limit:g} s", hint, held, limit))
        self._act(found, trace)

    def _act(self, found: Iterable[Finding], trace: Trace) -> None:
        found = list(found)
        for action in self._actions:
            for finding in found:
                if callable(action):
                    action(finding, trace)
                elif action == "log":
                    request = trace.request
                    log.warning("%s %s: %s", plain(request.method), plain(request.target), finding)
                elif action == "metric":
                    violations[finding.code] += 1
        if found and "raise" in self._actions:
            raise BudgetExceeded(found)


def _over(trace: Trace, budget: Budget) -> Iterable[Finding]:
    return (finding for finding in examine(trace, budget) if finding.code.startswith("SP1"))


def prepare(
    policy: FlushPolicy | None,
    budget: Budget | None,
    on_violation: OnViolation,
    on_trace: Listener | Iterable[Listener],
) -> tuple[PreparedPolicy | None, Listener | Iterable[Listener]]:
    """Return the policy and the listeners with which a middleware enforces ``budget``.

    A budget with ``max_hold`` brings a policy that changes nothing, if there is none. Raises ConfigurationError if an
    option is of the wrong type.
    """
    if budget is not None:
        watch = BudgetWatch(budget, on_violation)
        on_trace = (*((on_trace,) if callable(on_trace) else on_trace), watch)
        if policy is None and budget.max_hold is not None:
            policy = _ONLOOKER
    return None if policy is None else PreparedPolicy(policy), on_trace
