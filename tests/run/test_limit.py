"""`pylock run --limit`: a command that takes too long ends, and the lock is let go only then; as timeout(1) has it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import PYLOCK, Running, environment, pylock

import pylock as library
from pylock._cli import options


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("0.5s", 0.5), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("0", 0)]
)
def test_durations_are_those_of_timeout(text: str, expected: float) -> None:
    assert options.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "1w", "1hm", "-1m", "infd", "nan", "h1", "1e308d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number of seconds|'-1m' is less than no time"):
        options.seconds(text)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sleep", "60"], 124),
        (["sh", "-c", 'trap "exit 3" TERM; sleep 60 & wait'], 124),
        (["sh", "-c", 'trap "" TERM; exec sleep 60'], 137),
    ],
)
def test_exit_status_is_that_of_timeout(command: list[str], status: int) -> None:
    assert subprocess.run(["timeout", "-k", "0.1", "0.4", *command], check=False).returncode in (status, -9)
    done = pylock("run", "--limit", "0.4", "--grace", "0.1", "x", "--", *command)
    assert done.returncode == status
    assert ("which is its limit" in done.stderr) == (status in (124, 137))


def test_all_that_the_command_has_started_ends_before_the_lock_is_free(tmp_path: Path) -> None:
    program = f'echo $$ >"{tmp_path}/pid"; sleep 60; echo late >"{tmp_path}/late"'
    pylock("run", "--limit", "0.2", "x", "--", "sh", "-c", f"sh -c '{program}'; true")
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    assert library.inspect("x").holders == ()


def test_limit_counts_for_descendants_that_are_waited_for() -> None:
    done = pylock(
        "run", "--limit", "0.3", "--grace", "0.1", "--wait-for", "tree", "x", "--",
        "sh", "-c", 'setsid sh -c "trap : TERM; sleep 60; sleep 60" & exit 0',
    )  # fmt: skip
    assert done.returncode == 137
    assert library.inspect("x").holders == ()


def test_each_generation_that_shows_when_its_parents_are_killed_is_killed_too(tmp_path: Path) -> None:
    generations = 8
    script = tmp_path / "generation"
    script.write_text(f'trap "" TERM\ntest $1 -gt 0 && setsid sh {shlex.quote(str(script))} $(($1 - 1)) &\nsleep 60\n')
    begun = time.monotonic()
    done = pylock("run", "--limit=0.5", "--grace=0.1", "--wait-for=tree", "x", "--", "sh", script, str(generations))
    assert done.returncode == 137
    assert time.monotonic() - begun < generations, "a second for each"


def test_who_has_left_the_group_is_told_before_being_killed() -> None:
    left = 'trap "echo told; exit" TERM; while :; do sleep 0.01; done'
    done = pylock(
        "run", "--limit", "0.8", "--wait-for", "tree", "x", "--", "sh", "-c", f"setsid sh -c '{left}' & sleep 60",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (124, "told\n")


def test_no_grace_is_none_at_all_and_not_for_ever() -> None:
    done = pylock("run", "--limit", "0.2", "--grace", "0", "x", "--", "sh", "-c", 'trap "" TERM; exec sleep 60')
    assert done.returncode == 137


def test_limit_begins_when_the_command_starts() -> None:
    with library.lock("x"):
        waiting = Running("run", "--limit", "0.3", "x", "--", "echo", "ran")
        try:
            waiting.process.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
    assert waiting.end()[:2] == (0, "ran\n")


def test_an_alarm_that_somebody_sends_is_handed_on_and_is_no_limit() -> None:
    program = 'trap "echo alarm; exit 5" ALRM; echo up; while :; do sleep 0.01; done'
    running = Running("run", "--limit", "60", "x", "--", "sh", "-c", program)
    assert running.line() == "up"
    running.signal(signal.SIGALRM)
    assert running.end()[:2] == (5, "alarm\n")


def test_limit_counts_where_alarms_are_ignored() -> None:
    done = subprocess.run(
        ["sh", "-c", f'trap "" ALRM; exec {shlex.join(PYLOCK)} run --limit 0.2 x -- sleep 60'],
        env=environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 124


@pytest.mark.parametrize("text", ["limit = 0.2", 'limit = "0.2s"', 'limit = "0.2"\ngrace = "1h"'])
def test_limit_stands_in_the_settings(text: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[monitor]\n{text}\n")
    assert pylock("run", f"--config={settings}", "x", "--", "sleep", "60").returncode == 124
    assert pylock("run", f"--config={settings}", "--limit", "0", "x", "--", "true").returncode == 0


def test_limit_needs_somebody_who_stays() -> None:
    done = pylock("run", "--limit", "5", "--exec", "x", "--", "true")
    assert (done.returncode, done.stderr) == (125, "pylock: --exec cannot be combined with --limit\n")


def test_limit_cannot_be_too_long() -> None:
    assert pylock("run", "--limit", "1e300d", "x", "--", "sh", "-c", "exit 3").returncode == 3


def test_durations_are_taken_for_every_time() -> None:
    with library.lock("x"):
        done = pylock("run", "-t", "0.002m", "x", "--", "true")
    assert (done.returncode, "after 0.1 s" in done.stderr) == (75, True)
    assert os.environ["PYLOCK_DIR"] in pylock("check", "-t", "1m").stdout
