"""From the start of a command on, nothing but its end frees the lock: not even a signal that may not be sent."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import PYLOCK, Running, environment
from command import pylock as command
from contender import Contender, waiting

import pylock
from pylock._cli.taking import Struck, wait
from pylock._run.supervisor import FORWARDED, Supervisor, raw

WAITS = "echo ready; read line; exit 7"
REALTIME = (raw.SIGRTMIN, raw.SIGRTMIN + 1, raw.SIGRTMAX)
HANDED_ON = sorted({number for number in FORWARDED if number < raw.SIGRTMIN} | {*REALTIME})

DENIED = """
import os, sys
from pylock import _cli
def deny(pid, number):
    raise PermissionError(1, "Operation not permitted")
os.kill = os.killpg = deny
sys.exit(_cli.main(sys.argv[1:]))
"""
"""pylock whose every signal is refused by the kernel, as if the command had become another user."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program with pipes; all are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options.setdefault("env", environment())
        started.append(subprocess.Popen(words, text=True, start_new_session=True, **pipes, **options))  # type: ignore[call-overload]
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def line(stream: Any) -> str:
    return str(stream.readline()).strip()


def is_held(name: str) -> bool:
    return bool(pylock.inspect(name).holders)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Let the command end; return what became of it, and what more was said."""
    _, errors = process.communicate("go on\n", timeout=60)
    return process.returncode, errors


# A signal that may not be sent


@pytest.mark.parametrize("words", [["run", "x", "--"], ["run", "--new-group", "x", "--"]], ids=["own", "new group"])
@pytest.mark.parametrize("number", HANDED_ON)
def test_signal_that_may_not_be_handed_on_ends_nothing(number: int, words: list[str], start: Start) -> None:
    running = start(sys.executable, "-c", DENIED, *words, "sh", "-c", WAITS)
    assert line(running.stdout) == "ready"
    os.kill(running.pid, number)
    said = line(running.stderr)
    assert f"signal {number} could not be handed on to pid" in said
    assert "Operation not permitted; the lock is held until that ends" in said
    assert is_held("x")
    os.kill(running.pid, number)  # which is not told again
    assert ended(running) == (7, "")
    assert not is_held("x")


def test_signal_that_may_not_be_handed_on_keeps_a_transactional_number(start: Start) -> None:
    words = ["run", "--sequence", "--transactional", "s", "--", "sh", "-c", "echo $PYLOCK_VALUE; read line; exit 0"]
    values = []
    for _ in range(2):
        running = start(sys.executable, "-c", DENIED, *words)
        values.append(line(running.stdout))
        os.kill(running.pid, signal.SIGTERM)
        assert "could not be handed on" in line(running.stderr)
        assert ended(running)[0] == 0
    assert values == ["1", "2"]


def test_signal_that_may_not_be_handed_on_to_descendants_ends_nothing(start: Start) -> None:
    script = "exec 3<&0; (read line <&3) & echo ready; exit 5"
    running = start(sys.executable, "-c", DENIED, "run", "--wait-for=tree", "x", "--", "sh", "-c", script)
    assert line(running.stdout) == "ready"
    assert "its descendants hold on" in line(running.stderr)
    os.kill(running.pid, signal.SIGTERM)
    assert "signal 15 could not be handed on" in line(running.stderr)
    assert is_held("x")
    assert ended(running) == (5, "")
    assert not is_held("x")


def test_signal_that_may_not_be_handed_on_by_flom_ends_nothing(start: Start, tmp_path: Path) -> None:
    home = environment(HOME=str(tmp_path))
    running = start(sys.executable, "-c", DENIED, "flom", "-r", "x", "--", "sh", "-c", WAITS, env=home)
    assert line(running.stdout) == "ready"
    os.kill(running.pid, signal.SIGTERM)
    assert "signal 15 could not be handed on" in line(running.stderr)
    assert is_held("x")
    assert ended(running) == (7, "")


EMBEDDED_DENIED = """
import logging, os, sys
logging.basicConfig(format="%(name)s: %(message)s")
import pylock
def deny(pid, number):
    raise PermissionError(1, "Operation not permitted")
os.kill = os.killpg = deny
print(pylock.run(["sh", "-c", "echo ready; read line; exit 7"], "x", new_group=len(sys.argv) > 1).exit_code)
"""


@pytest.mark.parametrize("group", [[], ["new group"]], ids=["own", "new group"])
def test_signal_that_may_not_be_handed_on_by_a_program_is_logged_and_ends_nothing(
    group: list[str], start: Start
) -> None:
    running = start(sys.executable, "-c", EMBEDDED_DENIED, *group)
    assert line(running.stdout) == "ready"
    os.kill(running.pid, signal.SIGTERM)
    said = line(running.stderr)
    assert said.startswith("pylock: SIGTERM could not be handed on to pid")
    assert is_held("x")
    output, _ = running.communicate("go on\n", timeout=60)
    assert output == "7\n"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="a command becomes another user")
@pytest.mark.parametrize("words", [[], ["--new-group"], ["--wait-for=tree"]], ids=str)
def test_command_that_has_become_another_user_keeps_the_lock(words: list[str], start: Start) -> None:
    """As root without CAP_KILL, which may signal its own processes only, as every ordinary user."""
    becomes = ["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", WAITS]
    mine = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-m", "pylock", "run", *words]
    running = start(*mine, "x", "--", *becomes)
    assert line(running.stdout) == "ready"
    os.kill(running.pid, signal.SIGTERM)
    assert "signal 15 could not be handed on" in line(running.stderr)
    assert is_held("x")
    assert ended(running) == (7, "")
    assert not is_held("x")


# What fails after the start

FAILS_TO_RING = """
import errno, os, sys
from pylock import _cli
from pylock._acquiring.claim import Claim
def fail(claim):
    raise OSError(errno.EIO, "Input/output error")
Claim.pass_bell = fail
sys.exit(_cli.main(["run", "-v", "x", "--", "sh", "-c", "echo ready; read line; exit 7"]))
"""


def test_ring_that_fails_after_the_start_is_told_and_ends_nothing(start: Start) -> None:
    running = start(sys.executable, "-c", FAILS_TO_RING)
    assert line(running.stdout) == "ready"
    assert 'holds "x"' in line(running.stderr)
    assert "cannot wake who waits: Input/output error" in line(running.stderr)
    assert is_held("x")
    assert ended(running)[0] == 7


NO_PROCESS = """
import errno, os, sys
from pylock import _cli
def fail(*words, **options):
    raise OSError(int(sys.argv[1]), os.strerror(int(sys.argv[1])))
os.posix_spawn = fail
sys.exit(_cli.main(["run", "--sequence", "--transactional", "s", "--", "sh", "-c", "true"]))
"""


@pytest.mark.parametrize(("code", "status"), [(11, 125), (12, 125), (13, 126), (7, 126), (2, 126)])
def test_only_what_the_start_itself_says_means_that_it_cannot_run(code: int, status: int, start: Start) -> None:
    """EAGAIN and ENOMEM: no process was made, which is no fault of the command's. The number goes back."""
    running = start(sys.executable, "-c", NO_PROCESS, str(code))
    assert ended(running)[0] == status
    with pylock.sequence("s", transactional=True) as hold:
        assert hold.given == 1


# Who is waited for

EXEC_TREE = "(exec sleep 60) & echo $!; exec {pylock} run --wait-for=tree x -- sh -c '{script}'"


@pytest.mark.parametrize("script", ["exit 3", "(exec sleep 0.1) & exit 3"], ids=["alone", "with an orphan"])
def test_tree_does_not_wait_for_children_from_before_an_exec(script: str, start: Start) -> None:
    running = start("bash", "-c", EXEC_TREE.format(pylock=shlex.join(PYLOCK), script=script))
    before = int(line(running.stdout))
    try:
        assert running.wait(20) == 3
        assert not is_held("x")
        os.kill(before, 0)
    finally:
        os.kill(before, signal.SIGKILL)


def test_limit_does_not_end_children_from_before_an_exec(start: Start) -> None:
    words = shlex.join([*PYLOCK, "run", "--limit=0.2", "--wait-for=tree", "x", "--", "sleep", "60"])
    running = start("bash", "-c", f"(exec sleep 60) & echo $!; exec {words}")
    before = int(line(running.stdout))
    try:
        assert running.wait(20) == 124
        state = Path(f"/proc/{before}/stat").read_text().rpartition(")")[2].split()[0]
        assert state != "Z"
    finally:
        os.kill(before, signal.SIGKILL)


def test_tree_is_refused_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylock._run.embedded.children", lambda: None)
    with pytest.raises(pylock.Unsupported, match="needs /proc"):
        pylock.run(["true"], "x", wait_for="tree")


# `pylock.run` while signals come

STREAM = """
import os, random, signal, sys, threading, time, pylock
me, stop = os.getpid(), []
signal.signal(signal.SIGUSR1, lambda *_: None)
def pester():
    while not stop:
        time.sleep(random.random() * 0.002)
        os.kill(me, signal.SIGUSR1)
pesterer = threading.Thread(target=pester)
pesterer.start()
script = "trap '' USR1; echo $PYLOCK_VALUE"
for _ in range(40):
    sys.stdout.flush()
    outcome = pylock.run(["sh", "-c", script], pylock.sequence("s", transactional=True))
    assert (outcome.exit_code, outcome.signal) in ((0, None), (None, signal.SIGUSR1)), outcome
stop.append(True)
pesterer.join()
"""


def test_stream_of_signals_gives_an_outcome_each_time_and_no_number_twice() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAM], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    given = done.stdout.split()
    assert len(set(given)) == len(given)


SIGNAL_AT_THE_END = """
import os, signal, subprocess, pylock
signal.signal(signal.SIGUSR1, lambda *_: None)
real = subprocess.Popen.wait
def wait(child, timeout=None):
    status = real(child, timeout)
    os.kill(os.getpid(), signal.SIGUSR1)  # handled before the next line
    return status
subprocess.Popen.wait = wait
def send(pid, number):
    if pid != os.getpid():
        sent.append(pid)
    return kill(pid, number)
sent, kill = [], os.kill
os.kill = send
print(pylock.run(["true"], "x").exit_code, sent)
"""


def test_signal_after_the_end_reaches_no_number_that_is_used_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_AT_THE_END], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "0 []\n", done.stderr


def test_what_a_handler_raises_waits_for_the_end_of_the_command(tmp_path: Path) -> None:
    program = """
import os, signal, sys, pylock
def handler(number, frame):
    raise RuntimeError("raised")
signal.signal(signal.SIGCHLD, handler)
signal.signal(signal.SIGWINCH, handler)
try:
    pylock.run(["sh", "-c", "kill -WINCH $PPID; sleep 0.1; echo end"], "x")
except RuntimeError as error:
    print(error, pylock.inspect("x").holders)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "end\nraised ()\n", done.stderr


# What the command starts with

IGNORED = "grep SigIgn /proc/self/status"


def ignored_by(text: str) -> set[int]:
    """Without those that posix_spawn(3) of glibc always ignores, as only its own threads use them."""
    bits = int(text.split()[1], 16)
    return {int(number) for number in signal.valid_signals() if bits >> number - 1 & 1}


@pytest.mark.parametrize("way", [[], ["--exec"], ["--new-group"]], ids=str)
@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGUSR1, raw.SIGRTMIN + 3])
def test_command_starts_with_the_signals_ignored_that_were_named(number: int, way: list[str]) -> None:
    done = command("run", *way, "--start-ignoring", str(number), "x", "--", "sh", "-c", f"exec {IGNORED}")
    assert ignored_by(done.stdout) == {number}, done.stderr


def test_signals_to_start_ignoring_come_from_settings_and_the_command_line_wins(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[monitor]\nstart_ignoring = ["PIPE", 25]\n')
    words = ["run", f"--config={settings}"]
    assert ignored_by(command(*words, "--", *IGNORED.split()).stdout) == {signal.SIGPIPE, signal.SIGXFSZ}
    done = command(*words, "--start-ignoring=HUP", "--", *IGNORED.split())
    assert ignored_by(done.stdout) == {signal.SIGHUP}


@pytest.mark.parametrize("name", ["CHLD", "KILL", "STOP", "17", "SIGNONE"])
def test_signal_that_no_command_can_start_ignoring_is_refused(name: str, tmp_path: Path) -> None:
    done = command("run", f"--start-ignoring={name}", "x", "--", "true")
    assert done.returncode == 125
    assert "cannot be ignored" in done.stderr or "is not a signal" in done.stderr
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[monitor]\nstart_ignoring = ["{name}"]\n')
    done = command("run", f"--config={settings}", "x", "--", "true")
    assert done.returncode == 125
    assert ":2: monitor.start_ignoring must be a list of signals" in done.stderr


def test_signal_that_the_command_is_to_ignore_does_not_end_the_waiting(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    running = Running("run", "--quiet", "--start-ignoring=TERM", "x", "--", "echo", "ran")
    try:
        waiting("x", 1)
        running.signal(signal.SIGTERM)
        holder.release()
        assert running.end()[:2] == (0, "ran\n")
    finally:
        running.close()


def test_signal_that_is_swallowed_may_be_ignored_from_the_start_too() -> None:
    done = command("run", "--ignore-signal=TERM", "--start-ignoring=TERM", "x", "--", *IGNORED.split())
    assert ignored_by(done.stdout) == {signal.SIGTERM}


def test_supervisor_takes_no_signal_that_it_ignores() -> None:
    """What is ignored is not handed on either: sigwaitinfo(2) would never return it."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        supervisor = Supervisor((), False, False, (), print)
        supervisor.block_signals()
        blocked = raw.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED | {signal.SIGCHLD})
        assert signal.SIGUSR2 not in blocked
        assert signal.SIGTERM in blocked
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_pylock_held_of_a_number_that_was_used_again_accuses_nobody(directory: Path) -> None:
    """Only pid and start time together name one process."""
    with pylock.lock("x"):
        holder = pylock.inspect("x").holders[0]
        for start, accused in ((holder.start, True), ((holder.start or 0) + 1, False)):
            held = f"{holder.pid} {start} EX 1 {directory}/x.lock"
            done = command("run", "-t", "0.05", "x", "--", "true", env=environment(PYLOCK_HELD=held))
            assert ("would wait for ever" in done.stderr) == accused, done.stderr
            assert done.returncode == (125 if accused else 75)


@pytest.mark.parametrize("name", ["a\nb", "a%0Ab", "a b", "%", "a\nb\n1 1 EX 1 c"])
def test_pylock_held_survives_every_name_of_a_directory(name: str, tmp_path: Path) -> None:
    odd = tmp_path / name
    odd.mkdir()
    inner = f"{shlex.join(PYLOCK)} run -t 5 x -- true"
    variables = environment(PYLOCK_DIR=str(odd))
    done = command("run", "x", "--", "sh", "-c", inner, env=variables)
    assert "would wait for ever" in done.stderr, done.stderr
    assert command("run", "y", "--", "sh", "-c", inner, env=variables).returncode == 0


def test_signal_whose_exception_is_swallowed_ends_the_wait_all_the_same() -> None:
    """As by a callback of a weak reference, in which a handler may be called as anywhere."""

    def steps() -> Generator[tuple[int, float], bool, None]:
        with contextlib.suppress(Struck):
            signal.raise_signal(signal.SIGTERM)
        yield -1, 0.0
        pytest.fail("it waits on")

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Struck):
            wait(steps(), [], quiet=True)
    finally:
        signal.signal(signal.SIGTERM, before)
