"""Which tests go through a line, and how long each takes: measured once by coverage, children included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from contender import ROOT
from coverage import CoverageData

_MEASURED = ("acquiring", "cli", "deadlock", "file", "kinds", "queue", "run", "seeds")
"""Folders of tests: the others are about the repository, need other packages or hosts, or go through everything."""
_SETTINGS = """
[run]
source = pylock
parallel = true
patch = subprocess, _exit, execv
sigterm = true
data_file = PLACE/data
plugins =
    tests.coverage_plugin
    tests.survey.contexts
"""


class Reach:
    """What was measured, in a directory of its own."""

    def __init__(self, place: Path) -> None:
        self._seconds: dict[str, float] = json.loads((place / "seconds").read_text())
        self._data = CoverageData(str(place / "data"))
        self._data.read()
        self._lines: dict[str, dict[int, set[str]]] = {}

    def tests(self, file: str, lines: Iterable[int]) -> list[str]:
        """Those that pass and go through one of the lines: of the room's own folder, then of others.

        First comes the fastest of each file of tests, then its second.
        """
        if file not in self._lines:
            self._lines[file] = self._of_file(file)
        known = self._lines[file]
        found = set().union(*(known.get(line, ()) for line in lines))
        if not found:
            found = next((known[line] for line in range(min(lines), 0, -1) if known.get(line)), set())
        blind = {test for test in set().union(*known.values()) if _is_blind(test.split("::")[0])}
        files = defaultdict(list)
        for test in (found | blind) & self._seconds.keys():
            files[test.split("::")[0]].append((self._seconds[test], test))
        own = f"tests/{file.removeprefix('_').split('/')[0]}/"
        places = (
            (not name.startswith(own), place, *each)
            for name, tests in files.items()
            for place, each in enumerate(sorted(tests))
        )
        return [test for *_, test in sorted(places)]

    def seconds(self, tests: Iterable[str]) -> float:
        return sum(self._seconds[test] for test in tests)

    def _of_file(self, file: str) -> dict[int, set[str]]:
        contexts = self._data.contexts_by_lineno(str(ROOT / "pylock" / file))
        return {line: set(tests) for line, tests in contexts.items()}


@cache
def _is_blind(file: str) -> bool:
    """Whether tests of the file trace lines themselves, so that coverage does not see all that they go through."""
    return (ROOT / file).is_file() and "settrace(" in (ROOT / file).read_text()


def is_measured(place: Path) -> bool:
    """Whether a measurement came to its end: its last step makes one file of those of all processes."""
    return (place / "data").exists()


def measure(place: Path) -> None:
    """Run the tests, and write down what they go through; nothing stays of a measurement that was cut short."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    place.chmod(0o777)  # for tests that are another user
    settings = place / "settings"
    settings.write_text(_SETTINGS.replace("PLACE", str(place)))
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SURVEY_SECONDS": str(place / "seconds")}
    coverage = [sys.executable, "-m", "coverage"]
    tests = (f"tests/{folder}" for folder in _MEASURED)
    words = [*coverage, "run", f"--rcfile={settings}", "-m", "pytest", "-p", "survey.contexts", *tests]
    status = subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode
    if not (place / "seconds").exists():
        sys.exit(f"the tests did not come to their end (status {status}); what they say stands above")
    subprocess.run([*coverage, "combine", "--quiet", f"--rcfile={settings}"], cwd=ROOT, check=True)
