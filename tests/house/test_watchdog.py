"""A test that hangs fails by name, with all stacks, and the ones after it run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from contender import ROOT

HANGING = """
import threading
def test_fails(): assert False, "said before"
def test_hangs(): threading.Event().wait()
def test_goes_on(): pass
"""


def test_hanging_test_fails_with_its_stacks_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGING)
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "watchdog.py").write_text(
        (ROOT / "tests" / "watchdog.py").read_text().replace("TEST_SECONDS = 120", "TEST_SECONDS = 0.5")
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}:{ROOT / 'tests'}"}, cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert "said before" in done.stdout
    assert "stuck for" in done.stdout
    assert "threading.Event().wait()" in done.stdout
    assert "2 failed, 1 passed" in done.stdout
