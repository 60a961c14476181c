"""The folder in which gunicorn's processes share their counts: whose files streamproof deletes there at boot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from streamproof.gunicorn import counts_folder

MODES = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent")
KINDS = ("counter", "histogram", "summary", *(f"gauge_{mode}" for mode in MODES))


@pytest.fixture(scope="module")
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_a_dead_process_are_deleted(tmp_path: Path, dead_pid: int, kind: str) -> None:
    left = tmp_path / f"{kind}_{dead_pid}.db"
    left.touch()
    counts_folder.delete_dead_counts(str(tmp_path))
    assert not left.exists()


@pytest.mark.parametrize(
    "name",
    ["customers.db", "counter.db", "counter_12x.db", "counter_0.db", "gauge_odd_1.db", "my_counter_{dead}.db", "x.txt"],
)
def test_files_that_the_client_does_not_name_stay(tmp_path: Path, dead_pid: int, name: str) -> None:
    foreign = tmp_path / name.format(dead=dead_pid)
    foreign.touch()
    counts_folder.delete_dead_counts(str(tmp_path))
    assert foreign.exists()


def test_a_database_of_the_apps_stays_readable(tmp_path: Path, dead_pid: int) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.execute("create table kept (value)")
    counts_folder.delete_dead_counts(str(tmp_path))
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        assert database.execute("select name from sqlite_master").fetchall() == [("kept",)]


def test_counts_of_a_live_process_stay(tmp_path: Path) -> None:
    mine, parents = tmp_path / f"counter_{os.getpid()}.db", tmp_path / f"counter_{os.getppid()}.db"
    mine.touch()
    parents.touch()
    import prometheus_client  # noqa: F401  # from here on this process may count

    counts_folder.delete_dead_counts(str(tmp_path))
    assert mine.exists()
    assert parents.exists()


def test_what_a_former_process_of_this_number_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the master is process 1 again after each start."""
    left = tmp_path / f"counter_{os.getpid()}.db"
    left.touch()
    monkeypatch.delitem(sys.modules, "prometheus_client", raising=False)
    counts_folder.delete_dead_counts(str(tmp_path))
    assert not left.exists()
