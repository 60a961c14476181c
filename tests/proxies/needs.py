"""What a test needs installed: without it the test is skipped on a laptop and fails in CI."""

from __future__ import annotations

import os

import pytest

from .configurations import Configuration
from .products import Missing, program


def need(configuration: Configuration) -> None:
    """Skip, or fail in CI, where a product of this configuration is missing."""
    for hop in configuration.hops:
        try:
            program(hop.profile)
        except Missing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{missing}, and CI must run everything")
            pytest.skip(str(missing))
