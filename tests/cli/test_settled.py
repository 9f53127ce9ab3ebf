"""A changed ``[locks.NAME]`` in a settings file is the administrator's word."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from command import pylock as run_pylock
from contender import Contender

import pylock


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("PYLOCK_CONFIG", str(path))
    return path


def run(*words: str) -> CompletedProcess[str]:
    return run_pylock("run", "--shared", "--no-wait", *(words or ("x",)), "--", "true")


def says(file: Path, capacity: int, policy: str = "fair") -> None:
    file.write_text(f'[locks.x]\ncapacity = {capacity}\npolicy = "{policy}"\n')


def capacity() -> int:
    return pylock.inspect("x").definition.capacity


def test_change_applies_to_the_lock_in_use_and_is_said_once(file: Path, contenders: type[Contender]) -> None:
    says(file, 5)
    assert run().stderr == ""
    contenders().acquire("x", "shared")
    says(file, 7)
    done = run()
    assert done.returncode == 0
    assert f'"x": capacity 5 -> 7, as [locks."x"] of {file} says now' in done.stderr
    assert run().stderr == ""
    assert capacity() == 7


def test_change_applies_to_locks_named_by_with(file: Path) -> None:
    says(file, 5)
    assert run("a", "--with=x:shared").returncode == 0
    says(file, 7)
    assert "capacity 5 -> 7" in run("a", "--with=x:shared").stderr
    assert capacity() == 7


def test_what_set_said_counts_until_the_settings_change(file: Path) -> None:
    says(file, 5)
    run()
    assert "settings files say capacity 5; what is set here counts" in run_pylock("set", "x", "-c", "6").stdout
    assert run().stderr == ""
    assert capacity() == 6
    says(file, 7)
    assert "capacity 6 -> 7" in run().stderr


def test_closed_lock_stays_closed(file: Path) -> None:
    says(file, 5)
    run()
    run_pylock("set", "x", "-c", "0")
    says(file, 7)
    assert run().returncode == 75
    run_pylock("set", "x", "-c", "5")
    assert "capacity 5 -> 7" in run().stderr


def test_status_tells_what_the_settings_said(file: Path) -> None:
    says(file, 5)
    run()
    (lock,) = json.loads(run_pylock("status", "x", "--json").stdout)["locks"]
    assert lock["settings"] == {"capacity": 5, "policy": "fair"}


def test_contradiction_with_a_program_is_an_error_that_names_both_places(file: Path) -> None:
    pylock.lock("x", "shared", capacity=3).acquire().release()
    says(file, 5)
    done = run()
    assert done.returncode == 125
    assert pylock.inspect("x").path in done.stderr
    assert str(file) in done.stderr
    assert capacity() == 3


def test_lock_of_another_kind_is_not_made_by_settings(file: Path) -> None:
    says(file, 5, "fair")
    assert run_pylock("run", "--sequence", "x", "--", "true").returncode == 0
    assert pylock.inspect("x").definition.kind == "sequence"
