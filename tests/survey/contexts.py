"""For `reach`, a plugin of pytest and of coverage: names the test that runs, also to what a test starts.

Loaded in each process that is measured, so it loads next to nothing itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from coverage import Coverage, CoveragePlugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest
    from coverage.plugin_support import Plugins
    from coverage.types import TConfigurable

_seconds: dict[str, float] = {}


class _OfParent(CoveragePlugin):
    """In what a test has started, all is of that test."""

    def configure(self, config: TConfigurable) -> None:
        # pytest adds the phase of the test, in parentheses
        config.set_option("run:context", os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0])


def coverage_init(registry: Plugins, options: object) -> None:
    """Called by coverage when it begins."""
    registry.add_configurer(_OfParent())


def pytest_runtest_logstart(nodeid: str) -> None:
    measuring = Coverage.current()
    assert measuring is not None
    measuring.switch_context(nodeid)
    _seconds[nodeid] = 0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.passed and report.nodeid in _seconds:
        _seconds[report.nodeid] += report.duration
    else:
        _seconds.pop(report.nodeid, None)


def pytest_sessionfinish() -> None:
    Path(os.environ["SURVEY_SECONDS"]).write_text(json.dumps(_seconds))
