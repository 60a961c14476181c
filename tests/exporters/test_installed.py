"""Exporters of other distributions are found by their entry points, imported late, and fail with one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from streamproof import ConfigurationError
from streamproof.settings.assembly import Assembly, check
from streamproof.settings.loading import Settings, load

MODULE = """
class Exporter:
    def __init__(self, settings):
        self.settings, self.seen = settings, []
        made.append(self)

    def __call__(self, trace, *, route=None):
        self.seen.append((trace.request.target, route))

made = []

def raises(settings):
    raise ValueError("STATSD_HOST\\nis not set")

def nothing(settings):
    pass
"""
ENTRIES = """
[streamproof.exporters]
theirs = their_exporter:Exporter
raises = their_exporter:raises
nothing = their_exporter:nothing
lost = their_exporter:lost
log = their_exporter:Exporter
"""


@pytest.fixture(autouse=True)
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is installed beside this one."""
    (tmp_path / "their_exporter.py").write_text(MODULE)
    information = tmp_path / "their_exporter-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-exporter\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_exporter", raising=False)


def settings(folder: Path, *exporters: str) -> Settings:
    return load({"log": "off", "export": "all", "exporters": list(exporters)}, folder=folder, environ={})


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"body"]


def test_an_exporter_is_made_with_the_settings_and_takes_traces(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "theirs")
    check(chosen)
    assert "their_exporter" not in sys.modules, "checking imports nothing"
    assembly = Assembly(chosen)
    (exporter,) = sys.modules["their_exporter"].made
    assert exporter.settings is chosen
    assembly.wrap(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda *head: None).close()
    assembly.flush()
    assert exporter.seen == [("/a", None)]


def test_nothing_is_imported_that_is_not_named(tmp_path: Path) -> None:
    Assembly(settings(tmp_path))
    assert "their_exporter" not in sys.modules


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("their", "There is no exporter 'their'. Expected the name of an entry point in the group "),
        (
            "raises",
            "The exporter 'raises' (their_exporter:raises) cannot be made: ValueError: STATSD_HOST is not ",
        ),
        ("lost", "The exporter 'lost' (their_exporter:lost) cannot be made: AttributeError: module "),
        ("nothing", "The exporter 'nothing' (their_exporter:nothing) is None. Expected a callable (trace, *, route). "),
        ("log", "'log' in exporters is the name of an exporter of streamproof. "),
    ],
)
def test_a_broken_one_is_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Assembly(settings(tmp_path, name))
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


def test_the_nearest_name_is_proposed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'theirs'"):
        check(settings(tmp_path, "their"))


def test_it_may_raise_and_no_response_notices(tmp_path: Path) -> None:
    assembly = Assembly(settings(tmp_path, "theirs"))
    (exporter,) = sys.modules["their_exporter"].made
    exporter.seen = None
    body = assembly.wrap(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda *head: None)
    assert list(body) == [b"body"]
    body.close()
    assembly.flush()
    assert assembly.dispatcher.background.faults == {"theirs": 1}
