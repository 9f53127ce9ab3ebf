"""The file that is installed as the command ``pylock``: on its own, away from the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from command import environment
from contender import ROOT

import pylock


def test_installed_file_starts_the_command(tmp_path: Path) -> None:
    installed = shutil.copy(ROOT / "pylock" / "_cli" / "launcher.py", tmp_path / "pylock")
    done = subprocess.run(
        [sys.executable, str(installed), "--version"], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"pylock {pylock.__version__}\n"), done.stderr


def test_another_project_of_that_name_is_told_from_ours(tmp_path: Path) -> None:
    installed = shutil.copy(ROOT / "pylock" / "_cli" / "launcher.py", tmp_path / "command")
    other = tmp_path / "site" / "pylock"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, str(installed), "--version"], env=environment(PYTHONPATH=str(other.parent)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 125
    assert done.stderr.startswith(f"pylock: '{other}/__init__.py' is of another project with the same name; install")
    assert len(done.stderr.splitlines()) == 1
