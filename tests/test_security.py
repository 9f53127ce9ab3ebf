"""What users of one machine cannot do to each other through a lock directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from command import environment
from contender import ROOT


def test_check_runs_nothing_that_lies_where_it_is_called(directory: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("open('was-run', 'w')\n")
    command = shutil.copy(ROOT / "pylock" / "_cli" / "launcher.py", tmp_path / "pylock")
    done = subprocess.run(
        [sys.executable, str(command), "check", str(directory)], cwd=here, env=environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert not (here / "was-run").exists()
    assert "is fit for locks" in done.stdout
