"""The hops that every response of a test run passes, unless a client names its own. Set by ``suite.py``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..sansio.errors import ConfigurationError

if TYPE_CHECKING:
    from ..profiles import Profile, Via

via: Via | None = None
"""The current hops: of the test that runs, or of the whole run."""

of_run: Via | None = None
"""The hops of the whole run, for clients that outlive a test."""

alternating = False
"""Whether the hops change from test to test."""


def hops(own: str | Profile | Via | None) -> Via | None:
    """The hops of a client that names ``own`` hops or no hops.

    Raises ConfigurationError for hops that cannot be used, and for a client that is made outside of a test while the
    hops change from test to test.
    """
    if own:
        from ..profiles import resolve

        return resolve(own)
    if via is not None or not alternating:
        return via
    raise ConfigurationError(
        "This client outlives its test, and --streamproof-via was given several times, once for each run of a test. "
        "Expected clients that a test or its own fixtures make, or one --streamproof-via a run. Is it made in a module "
        "or in a fixture of a wider scope?"
    )


@contextmanager
def outliving() -> Iterator[None]:
    """Clients that are made in the block outlive the test: they get the run's hops, not the test's."""
    global via
    before, via = via, of_run
    try:
        yield
    finally:
        via = before
