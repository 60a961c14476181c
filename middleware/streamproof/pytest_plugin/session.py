"""One run of pytest: its settings, the stats it gathers from its tests, the files it writes at its end.

xdist's workers hand their part over to the process that reports. ``streamproof.testing`` is imported when there is
something to write.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

VIA, SERVER_BEHAVIOR, BASELINE = "streamproof_via", "streamproof_server_behavior", "streamproof_baseline"


def setting(config: pytest.Config, name: str) -> str | None:
    """The value of a setting: the flag's, else the ini file's, else None."""
    return config.getoption(f"{name}_flag") or config.getini(name) or None


def vias_of(config: pytest.Config) -> tuple[str, ...]:
    """The run's alternatives: of the flag as often as it was given, else of the ini file's lines, each once."""
    return tuple(dict.fromkeys(config.getoption(f"{VIA}_flag") or config.getini(VIA)))


class Run:
    """The stats that one run gathers, those of xdist's workers included."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, dict[str, Any]] = {}
        self.baseline: dict[str, dict[str, float]] = {}
        self.undo = ExitStack()

    def path(self, name: str | None) -> Path | None:
        """A file named by a setting."""
        return None if name is None else self.config.rootpath / name

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather a test's stats, in the process that reports."""
        stats = {name[12:]: value for name, value in report.user_properties if name.startswith("streamproof.")}
        if report.when == "teardown" and stats:
            self.tests[report.nodeid] = {"test": report.nodeid, **stats}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over a worker's part of the baseline (xdist)."""
        self.baseline.update(getattr(node, "workeroutput", {}).get(BASELINE, {}))

    def pytest_sessionfinish(self) -> None:
        """Write the report and the baseline, in the process that reports."""
        if hasattr(self.config, "workerinput"):
            self.config.workeroutput[BASELINE] = self.baseline  # type: ignore[attr-defined]
            return
        report, baseline = self.config.getoption("streamproof_report"), self.path(setting(self.config, BASELINE))
        if report is not None or (self.baseline and baseline is not None):
            from ..testing.baseline import write_baseline, write_report

            if report is not None:
                write_report(self.config.rootpath / report, list(self.tests.values()))
            if self.baseline and baseline is not None:
                write_baseline(baseline, self.baseline)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the slowest first bytes and the longest holds, with ``--streamproof-summary``."""
        if self.config.getoption("streamproof_summary") and self.tests:
            from ..testing.baseline import summary

            terminalreporter.section("streams")
            for line in summary(list(self.tests.values())):
                terminalreporter.write_line(line)


RUN: pytest.StashKey[Run] = pytest.StashKey()
