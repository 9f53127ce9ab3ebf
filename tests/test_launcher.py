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
