"""`pylock run --on-lost`: a command whose lock another host may have by now does not go on unnoticed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import environment, pylock
from contender import until

import pylock as library

PROGRAM = """
import os, sys
sys.path.insert(0, "tests")
import pylock._run.loss as loss
loss.EVERY = 0.02
{before}
from pylock._cli import console
sys.argv = ["pylock", "run", *sys.argv[1:]]
console()
"""
FAR = "from remote import take_for_remote; take_for_remote(os.environ['PYLOCK_DIR'])"
"""The directory is one of a file server."""
EIO_ONCE = """
from pylock._acquiring import survival
real, looks = survival.why_lost, []
def once(*words):
    looks.append(1)
    return "the file server gave it up" if len(looks) == 1 else real(*words)
loss.why_lost = once
"""
HANGS = """
import time
loss.why_lost = lambda *words: time.sleep(60)
"""

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str, before: str = "") -> subprocess.Popen[str]:
        program = PROGRAM.format(before=before)
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        return process

    yield begin
    for process in begun:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()


def lose(name: str = "x") -> None:
    Path(library.inspect(name).path).unlink()


SLEEPS = ["sh", "-c", "echo runs; exec sleep 60"]
UNLOCKS = """
import fcntl, os, time
names = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 20) if os.path.exists(f"/proc/self/fd/{fd}")}
[lock] = [fd for fd, name in names.items() if name.endswith("x.lock")]
fcntl.fcntl(lock, fcntl.F_OFD_SETLK, bytes([fcntl.F_UNLCK, *31 * [0]]))  # a struct flock of all that there is
print("runs", flush=True)
time.sleep(60)
"""
STUBBORN = ["sh", "-c", "trap '' TERM; echo runs; exec sleep 60"]


@pytest.mark.parametrize(
    ("words", "before"), [(["--on-lost=term"], ""), ([], FAR)], ids=["asked for", "by itself on a file server"]
)
def test_command_is_told_to_end(words: list[str], before: str, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = run(*words, f"--log={log}", "x", "--", *SLEEPS, before=before)
    lose()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert errors == 'pylock: the lock "x" is lost: its file was removed or replaced; the command is told to end\n'
    assert "event=loss lock=x" in log.read_text()


@pytest.mark.parametrize("words", [["-m", "shared"], ["-c2"], ["-m", "CR"]], ids=" ".join)
def test_lock_of_any_mode_is_looked_at(words: list[str], run: Run) -> None:
    process = run(*words, "--on-lost=term", "x", "--", *SLEEPS)
    lose()
    assert process.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("words", [[], ["-m", "shared"]], ids=" ".join)
def test_lock_that_was_unlocked_through_a_copy_of_its_descriptor_is_lost(words: list[str], run: Run) -> None:
    process = run(*words, "--on-lost=term", "x", "--", sys.executable, "-c", UNLOCKS)
    assert process.wait(20) == -signal.SIGTERM


def test_command_that_does_not_end_is_killed_after_the_grace(run: Run) -> None:
    process = run("--on-lost=term", "--grace=0.1", "x", "--with=y", "--", *STUBBORN)
    lose("y")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert 'the lock "y" is lost' in errors


def test_descendants_are_told_to_end_too(run: Run) -> None:
    process = run("--on-lost=term", "--wait-for=tree", "--grace=0.2", "x", "--", "sh", "-c", "sleep 60 & echo runs")
    lose()
    assert process.wait(20) == 0, "the command had ended"


def test_warning_is_given_once_and_the_command_goes_on(run: Run) -> None:
    process = run(
        "--on-lost=warn", "x", "--", "sh", "-c", 'echo runs; trap "exit 7" USR1; while :; do sleep 0.01; done'
    )
    lose()
    assert process.stderr is not None
    assert process.stderr.readline().endswith("is lost: its file was removed or replaced; the command goes on\n")
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=20)[1].count("is lost") == 0
    assert process.returncode == 7


def test_nothing_is_looked_at_on_one_host_or_if_not_wanted(run: Run) -> None:
    for words, before in (([], ""), (["--on-lost=ignore"], FAR)):
        process = run(*words, "x", "--", *SLEEPS, before=before)
        tasks = os.listdir(f"/proc/{process.pid}/task")
        assert len(tasks) == 1, words
        process.terminate()
        process.wait(20)


def test_error_that_goes_away_is_no_loss(run: Run) -> None:
    process = run("--on-lost=term", "x", "--", "sh", "-c", "echo runs; sleep 0.3", before=EIO_ONCE)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0


def test_signals_reach_the_command_while_a_look_hangs(run: Run) -> None:
    process = run("--on-lost=term", "x", "--", *SLEEPS, before=HANGS)
    until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 2)
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    assert not library.lock("x").locked()


NO_THREAD = """
def none(*words):
    raise RuntimeError("can't start new thread")
loss.start_new_thread = none
"""


def test_command_goes_on_and_the_lock_is_held_though_nobody_can_look(run: Run) -> None:
    """Not even that ends anything: from the start of the command on only its end does."""
    process = run("--on-lost=term", "x", "--", *SLEEPS, before=NO_THREAD)
    assert process.stderr is not None
    assert "cannot start a thread" in process.stderr.readline()
    assert library.lock("x").locked()
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


def test_limit_that_is_up_stays_so(run: Run) -> None:
    process = run("--on-lost=term", "--limit=0.1", "--grace=0.3", "x", "--", *STUBBORN)
    assert process.stderr is not None
    assert "which is its limit" in process.stderr.readline()
    lose()
    assert process.wait(20) == 137


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--on-lost=kill"], "--on-lost is one of term, warn, ignore, not 'kill'"),
        (["--on-lost=term", "--exec"], "--exec cannot be combined with --on-lost"),
        (["--grace=5"], "--grace is for --limit, or --on-lost=term"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], told: str) -> None:
    done = pylock("run", *words, "x", "--", "true")
    assert (done.returncode, told in done.stderr) == (125, True)


def test_reaction_stands_in_the_settings(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[monitor]\non_lost = "warn"\n')
    process = run(f"--config={settings}", "x", "--", *SLEEPS)
    lose()
    assert process.stderr is not None
    assert "the command goes on" in process.stderr.readline()
    settings.write_text('[monitor]\non_lost = "no"\n')
    done = pylock("run", f"--config={settings}", "x", "--", "true")
    assert "one of term, warn, ignore" in done.stderr, shlex.join(done.args)
