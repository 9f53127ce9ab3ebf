"""What users of one machine cannot do to each other through a lock directory."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment
from contender import ROOT, Contender

import pylock


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


def is_spared(path: Path) -> bool:
    return bool(path.lstat().st_mode & stat.S_ISVTX)


def test_lock_files_and_bells_have_the_bit_that_systemd_tmpfiles_spares(
    directory: Path, contenders: type[Contender]
) -> None:
    with pylock.lock("x"), pylock.sequence("numbers"):
        contenders().start_acquiring("x")
        assert {path.name: is_spared(path) for path in directory.iterdir()} == {
            "x.lock": True, "x.lock.0": True, "numbers.lock": True,
        }  # fmt: skip


def test_file_system_that_refuses_the_bit_gives_the_mode_without(
    directory: Path, contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fchmod

    def without_sticky(fd: int, mode: int) -> None:
        if mode & stat.S_ISVTX:
            raise PermissionError(1, "no such bit")
        real(fd, mode)

    monkeypatch.setattr(os, "fchmod", without_sticky)
    directory.chmod(0o2770)
    with pylock.lock("x"):
        pass
    assert stat.S_IMODE((directory / "x.lock").stat().st_mode) & 0o777 == 0o660


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="there is no systemd-tmpfiles")
def test_systemd_tmpfiles_removes_neither_lock_files_nor_bells(
    directory: Path, tmp_path: Path, contenders: type[Contender]
) -> None:
    settings = tmp_path / "settings.conf"
    settings.write_text(f"e {directory} - - - 1us\n")
    (directory / "stranger").touch()
    with pylock.lock("x"):
        contenders().start_acquiring("x")
        subprocess.run(["systemd-tmpfiles", "--clean", str(settings)], check=True, capture_output=True)
        assert {path.name for path in directory.iterdir()} == {"x.lock", "x.lock.0"}
