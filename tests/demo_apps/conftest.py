"""Fixtures: a reader that stands in each pause of an app, and apps that do not pause."""

from __future__ import annotations

import pytest

from ..support.demo_support import Reader, replace_pauses


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader that notes what it holds at each pause of the app."""
    reader = Reader()
    replace_pauses(monkeypatch, reader.pause)
    return reader


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps that do not pause."""
    monkeypatch.setenv("DEMO_DELAY", "0")
    monkeypatch.setenv("DEMO_TOKEN_DELAY", "0")
