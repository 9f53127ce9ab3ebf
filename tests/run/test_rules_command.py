"""``pylock run``: what a whole group of processes, an ignored signal and a stranger's PATH make of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Start, environment, pylock
from contender import Contender, until, waiting

import pylock as library

SHOWS_IGNORED = "import signal; print(signal.getsignal(signal.{}) is signal.SIG_IGN)"


def has_ended(pid: int) -> bool:
    """Whether it is gone, or dead and not yet reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter, if it goes while it is read
        return True


def ignoring(*signals: int) -> Callable[[], None]:
    """For the child, before it becomes the command: as under nohup or in the background of a script."""

    def ignore() -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)

    return ignore


# Signals


@pytest.mark.parametrize("name", ["TERM", "INT", "USR1"])
def test_signal_reaches_the_whole_group_of_a_command_that_has_its_own(name: str, start: Start) -> None:
    """The command passes nothing on; its child would go on without the lock."""
    program = (
        "import subprocess, sys, signal, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
        f' signal.signal(signal.SIG{name}, signal.SIG_DFL); print("ready", flush=True); time.sleep(60)\'])\n'
        f"signal.signal(signal.SIG{name}, lambda *_: sys.exit(7))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    running = start("run", "--new-group", "x", "--", sys.executable, "-c", program)
    lines = {running.line(), running.line()}
    child = int((lines - {"ready"}).pop())
    running.signal(getattr(signal, f"SIG{name}"))
    until(lambda: has_ended(child))
    assert running.end()[0] == 7


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_ignored_signal_has_its_default_in_the_command_whatever_the_caller_ignored(name: str) -> None:
    number = getattr(signal, name)
    done = pylock(
        "run", "--ignore-signal", name, "x", "--", sys.executable, "-c", SHOWS_IGNORED.format(name),
        preexec_fn=ignoring(number),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "False\n")


def test_signal_that_the_caller_ignored_is_ignored_by_the_command_too_unless_asked() -> None:
    done = pylock(
        "run", "x", "--", sys.executable, "-c", SHOWS_IGNORED.format("SIGUSR1"), preexec_fn=ignoring(signal.SIGUSR1)
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_waiter_under_nohup_survives_the_hangup(quiet: list[str], start: Start, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    running = start("run", *quiet, "x", "--", "echo", "ran", preexec_fn=ignoring(signal.SIGHUP))
    waiting("x", 1)
    running.signal(signal.SIGHUP)
    holder.release()
    status, output, errors = running.end()
    assert (status, output) == (0, "ran\n"), errors


def test_waiter_that_ignores_nothing_ends_by_the_hangup(start: Start, contenders: type[Contender]) -> None:
    contenders().acquire("x")
    running = start("run", "--quiet", "x", "--", "echo", "ran")
    waiting("x", 1)
    running.signal(signal.SIGHUP)
    assert running.end()[0] == -signal.SIGHUP
    assert library.inspect("x").waiters == ()


# Programs


def test_program_that_is_found_but_cannot_be_executed_is_126_whatever_comes_later_in_the_path(tmp_path: Path) -> None:
    """As shells have it: one that is there, if only in one directory, is not one that is not found."""
    first, later = tmp_path / "first", tmp_path / "later"
    for directory in (first, later):
        directory.mkdir()
    (first / "tool").write_text("#!/bin/sh\nexit 3\n")
    done = pylock("run", "x", "--", "tool", env=environment(PATH=f"{first}:{later}"))
    assert done.returncode == 126
    assert "permission denied" in done.stderr
    (later / "tool").write_text("#!/bin/sh\nexit 4\n")
    (later / "tool").chmod(0o755)
    assert pylock("run", "x", "--", "tool", env=environment(PATH=f"{first}:{later}")).returncode == 4


def test_directory_in_the_path_is_no_program_but_keeps_none_behind_it_from_being_found(tmp_path: Path) -> None:
    (tmp_path / "first" / "true").mkdir(parents=True)
    done = pylock("run", "x", "--", "true", env=environment(PATH=f"{tmp_path / 'first'}:/bin:/usr/bin"))
    assert done.returncode == 0
    assert pylock("run", "x", "--", "true", env=environment(PATH=f"{tmp_path / 'first'}")).returncode == 126


def test_program_that_is_nowhere_is_127(tmp_path: Path) -> None:
    assert pylock("run", "x", "--", "tool", env=environment(PATH=str(tmp_path))).returncode == 127
