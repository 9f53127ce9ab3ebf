"""The command as installers leave it, also where the first line of a script could not name the interpreter."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from command import environment
from contender import ROOT
from pip._vendor.distlib.scripts import ScriptMaker, enquote_executable


@pytest.fixture(params=["My Job", "long" * 40], ids=["space", "long"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """``pylock`` in a virtual environment of that name, made as pip makes what pyproject.toml promises."""
    programs = tmp_path / request.param / "bin"
    venv.create(programs.parent, symlinks=True)
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    maker = ScriptMaker(None, str(programs))
    maker.executable = enquote_executable(str(programs / "python"))
    maker.variants = {""}
    maker.make_multiple(f"{name} = {place}" for name, place in promised.items())
    return programs / "pylock"


def test_command_starts_whatever_the_path_of_its_environment(command: Path) -> None:
    done = subprocess.run([command, "run", "x", "--", "printenv", "PYLOCK_NAME"], env=environment(), check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "x\n"


def test_nothing_of_the_wheel_is_a_script_that_names_its_interpreter() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "shared-scripts" not in wheel, "pip writes its first line anew without regard to spaces and length"


@pytest.mark.skipif(not (Path(sys.executable).parent / "pylock").exists(), reason="pylock is not installed here")
def test_installed_command_starts() -> None:
    done = subprocess.run([Path(sys.executable).parent / "pylock", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"pylock ")
