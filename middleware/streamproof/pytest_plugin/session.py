"""One run of pytest: its settings, what it gathers from its tests (workers' included), what it writes at its end.

Knows pytest's reports and xdist's hand-over. Imports nothing of ours before there is something to write.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

VIA, SERVER, BASELINE = "streamproof_via", "streamproof_server", "streamproof_baseline"


def setting(config: pytest.Config, name: str) -> str | None:
    """The value of a setting: the flag's, else the ini file's, else None."""
    return config.getoption(f"{name}_flag") or config.getini(name) or None


def vias_of(config: pytest.Config) -> tuple[str, ...]:
    """The run's alternatives: of the flag as often as it was given, else of the ini file's lines, each once."""
    return tuple(dict.fromkeys(config.getoption(f"{VIA}_flag") or config.getini(VIA)))


class Run:
    """What one run gathers from its tests, its workers' included, and what it writes at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, dict[str, Any]] = {}
        self.baseline: dict[str, dict[str, float]] = {}
        self.undo = ExitStack()

    def path(self, name: str | None) -> Path | None:
        """A file named by a setting."""
        return None if name is None else self.config.rootpath / name

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather a test's figures, on the process that reports."""
        found = {name[12:]: value for name, value in report.user_properties if name.startswith("streamproof.")}
        if report.when == "teardown" and found:
            self.tests[report.nodeid] = {"test": report.nodeid, **found}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """xdist: a worker hands its part of the baseline over."""
        self.baseline.update(getattr(node, "workeroutput", {}).get(BASELINE, {}))

    def pytest_sessionfinish(self) -> None:
        """Write what was asked for, on the process that reports."""
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
        """The slowest first bytes and the longest holds, when asked for."""
        if self.config.getoption("streamproof_summary") and self.tests:
            from ..testing.baseline import summary

            terminalreporter.section("streams")
            for line in summary(list(self.tests.values())):
                terminalreporter.write_line(line)


RUN: pytest.StashKey[Run] = pytest.StashKey()
