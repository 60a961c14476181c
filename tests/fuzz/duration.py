"""How long a fuzzer runs: one round of examples, about 20 seconds a file in CI, or FUZZ_SECONDS.

``FUZZ_SECONDS=600 pytest tests/fuzz`` gives each file ten minutes. Each round has new random examples.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "20" if "CI" in os.environ else "0"))


def fuzzer(*, examples: int, parts: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Run a test that Hypothesis generates: rounds of ``examples``, for one of the ``parts`` of its file's time."""

    def decorate(test: Callable[[], None]) -> Callable[[], None]:
        limited = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(test)

        @pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # long messages are meant
        @pytest.mark.timeout(SECONDS + 120)
        @functools.wraps(test)
        def run() -> None:
            until = time.monotonic() + SECONDS / parts
            while True:
                limited()
                if time.monotonic() >= until:
                    return

        del run.__wrapped__  # pytest would ask for the arguments of the inner test
        return run

    return decorate
