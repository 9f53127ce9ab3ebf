"""`pylock.run`: the supervisor for Python programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import environment
from contender import Contender, until

import pylock
from pylock._run.descendants import environment_of


def test_outcome_of_a_command_that_ends() -> None:
    assert pylock.run(["sh", "-c", "exit 4"], "x") == pylock.Outcome(4, None, pytest.approx(0, abs=5), True)  # type: ignore[arg-type]


def test_outcome_does_not_change() -> None:
    outcome = pylock.run(["true"], "x")
    with pytest.raises(AttributeError):
        outcome.exit_code = 1  # type: ignore[misc]


def test_outcome_of_a_command_that_is_killed() -> None:
    outcome = pylock.run(["sh", "-c", "kill -9 $$"], pylock.lock("x"))
    assert (outcome.exit_code, outcome.signal, outcome.ran) == (None, signal.SIGKILL, True)
    assert not pylock.lock("x").locked()


def test_outcome_of_a_lock_that_is_busy(contenders: type[Contender]) -> None:
    contenders().acquire("x")
    outcome = pylock.run(["true"], "x", timeout=0.02)
    assert (outcome.ran, outcome.exit_code) == (False, None)
    assert outcome.waited >= 0.02


def test_several_locks_are_held_together() -> None:
    locks = [pylock.lock("b"), pylock.lock("a", "shared")]
    done = pylock.run(["sh", "-c", "test $PYLOCK_NAME = b"], locks)
    assert done.exit_code == 0
    assert pylock.run(["true"], pylock.all_of(*locks)).exit_code == 0
    assert not pylock.lock("a").locked()


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_pipe_that_nobody_could_use_is_refused_before_anything_is_waited_for(
    stream: str, contenders: type[Contender]
) -> None:
    contenders().acquire("x")
    with pytest.raises(ValueError, match=f"{stream}=subprocess.PIPE: nobody could use its other end"):
        pylock.run(["cat"], "x", **{stream: subprocess.PIPE})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_name_that_a_command_cannot_be_told_is_refused_before_anything_is_waited_for(name: str) -> None:
    with pylock.lock(name), pytest.raises(ValueError, match="a command cannot be told the name"):
        pylock.run(["true"], name)


def test_options_of_the_process() -> None:
    command = ["sh", "-c", "test $PWD = / && test $ONLY = this && cat"]
    environment = {"ONLY": "this", "PATH": "/bin:/usr/bin"}
    outcome = pylock.run(command, "x", cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert outcome.exit_code == 0


@pytest.mark.parametrize(
    ("command", "error"), [(["no-such-command"], FileNotFoundError), (["/etc/passwd"], PermissionError)]
)
def test_command_that_cannot_run_is_found_out_before_waiting(
    command: list[str], error: type[OSError], contenders: type[Contender]
) -> None:
    contenders().acquire("x")
    with pytest.raises(error) as caught:
        pylock.run(command, "x")
    assert caught.value.filename == command[0]


@pytest.mark.parametrize(
    "arguments", [{"command": "true"}, {"command": []}, {"wait_for": "all"}, {"ignore_signals": ["KILL"]}]
)
def test_bad_argument_is_a_value_error(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|cannot be ignored"):
        pylock.run(**({"command": ["true"], "locks": "x"} | arguments))  # type: ignore[arg-type]


def test_ignored_sigchld_hides_no_exit_status() -> None:
    """The kernel would keep none; in another thread nothing can be done about it, which is said before the start."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert pylock.run(["sh", "-c", "exit 3"], "x").exit_code == 3
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
        with ThreadPoolExecutor() as pool, pytest.raises(ValueError, match="this program ignores SIGCHLD"):
            pool.submit(pylock.run, ["true"], "x").result(20)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_stopped_command_is_let_go_on_to_die_of_a_signal() -> None:
    program = "import pylock; print(pylock.run(['sh', '-c', 'echo $$; kill -STOP $$'], 'x'))"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        stopped = Path(f"/proc/{int(process.stdout.readline())}/stat")
        until(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T")
        process.send_signal(signal.SIGTERM)
        assert "signal=15" in process.stdout.read()


def test_works_from_a_thread_and_touches_no_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor() as pool:
        assert pool.submit(pylock.run, ["sh", "-c", "exit 2"], "x").result(20).exit_code == 2
    assert signal.getsignal(signal.SIGTERM) is before


def strike_when(ready: Path, number: int) -> threading.Thread:
    """Signal this process once the command has said that it runs, by making a file."""

    def strike() -> None:
        until(ready.exists)
        os.kill(os.getpid(), number)

    striker = threading.Thread(target=strike)
    striker.start()
    return striker


def test_signal_is_handed_on_and_every_handler_put_back(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    ready = tmp_path / "ready"
    striker = strike_when(ready, signal.SIGTERM)
    outcome = pylock.run(["sh", "-c", f"trap 'exit 8' TERM; >{ready}; while :; do sleep 0.01; done"], "x")
    striker.join()
    assert outcome.exit_code == 8
    assert {number: signal.getsignal(number) for number in before} == before


def test_ignored_signal_is_swallowed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    striker = strike_when(ready, signal.SIGUSR1)
    command = ["sh", "-c", f">{ready}; sleep 0.2"]
    outcome = pylock.run(command, "x", ignore_signals=["USR1"], new_group=True)
    striker.join()
    assert outcome == pylock.Outcome(0, None, outcome.waited, True)


def test_signal_before_the_start_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def start(*arguments: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start)
    assert pylock.run(["sleep", "60"], "x").signal == signal.SIGTERM


def test_command_that_the_program_has_waited_for_elsewhere_is_not_taken_for_one_that_succeeded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.waitid

    def too_late(kind: int, pid: int, options: int) -> object:
        os.waitpid(pid, 0)
        return real(kind, pid, options)

    monkeypatch.setattr(os, "waitid", too_late)
    outcome = pylock.run(["true"], "x")
    assert (outcome.ran, outcome.exit_code, outcome.signal) == (True, None, None)
    assert "as this program has waited for it elsewhere; it counts as failed" in caplog.text
    assert not pylock.lock("x").locked()


def test_handler_of_sigchld_is_called_once_the_command_has_been_waited_for() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
    try:
        assert pylock.run(["sh", "-c", "exit 4"], "x").exit_code == 4
        assert seen
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_command_is_of_the_programs_process_group_unless_another_is_asked_for(tmp_path: Path) -> None:
    groups = []
    for options in ({}, {"new_group": True}):
        with (tmp_path / "group").open("w+") as told:
            pylock.run(["sh", "-c", "cut -d' ' -f5 /proc/$$/stat"], "x", stdout=told, **options)  # type: ignore[arg-type]
            told.seek(0)
            groups.append(int(told.read()))
    assert groups[0] == os.getpgrp() != groups[1]


def test_tree_does_not_wait_for_what_another_thread_starts_meanwhile(tmp_path: Path) -> None:
    program = """
import subprocess, sys, threading, time, pylock
sleeping = []
def start():
    while not pylock.inspect("x").holders:
        pass
    sleeping.append(subprocess.Popen(["sleep", "60"]))
    open("started", "w")
thread = threading.Thread(target=start)
thread.start()
outcome = pylock.run(["sh", "-c", "until test -e started; do sleep 0.01; done; exit 5"], "x", wait_for="tree")
thread.join()
print(outcome.exit_code, sleeping[0].poll())
sleeping[0].kill()
sleeping[0].wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, cwd=tmp_path, timeout=20,
        check=False,
    )  # fmt: skip
    assert done.stdout == "5 None\n", done.stderr


def test_without_a_terminal_the_signal_of_ctrl_c_is_handed_on() -> None:
    program = """
import pylock
command = ["sh", "-c", 'trap "exit 3" INT; echo ready; while :; do sleep 0.01; done']
print(pylock.run(command, "x").exit_code)
"""
    words = [sys.executable, "-c", program]
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGINT)
        try:
            until(lambda: running.poll() is not None)
        except AssertionError:
            os.killpg(running.pid, signal.SIGKILL)
            raise
        assert running.stdout.read() == "3\n"


def test_tree_hands_signals_on_to_those_who_outlive_the_command() -> None:
    orphan = 'trap "echo struck; exit" TERM; echo $$; while :; do sleep 0.01; done'
    program = """
import sys, pylock
outcome = pylock.run(["sh", "-c", 'sh -c "$0" & exit 5', sys.argv[1]], "x", wait_for="tree")
print(outcome.exit_code)
"""
    words = [sys.executable, "-c", program, orphan]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        until(lambda: children.read_text().split() == [str(pid)])
        try:
            until(lambda: running.send_signal(signal.SIGTERM) or running.poll() is not None)
        except AssertionError:
            os.kill(pid, signal.SIGKILL)
            raise
        assert running.stdout.read() == "struck\n5\n"


def test_tree_waits_for_orphans_and_leaves_other_children_alone() -> None:
    program = """
import subprocess, sys, time, pylock
other = subprocess.Popen(["sleep", "60"])
begun = time.monotonic()
outcome = pylock.run(["sh", "-c", "(sleep 0.3) & exit 5"], "x", wait_for="tree")
print(outcome.exit_code, time.monotonic() - begun >= 0.3, other.poll())
other.kill(); other.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "5 True None\n", done.stderr


def test_lock_is_left_to_the_command_if_the_program_is_killed() -> None:
    program = "import pylock; pylock.run(['sh', '-c', 'echo $$; exec sleep 60'], 'x')"
    running = subprocess.Popen([sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    child = int(running.stdout.readline())
    running.kill()
    running.wait()
    assert pylock.lock("x").locked()
    os.kill(child, signal.SIGKILL)
    until(lambda: not pylock.lock("x").locked())
    running.stdout.close()


def test_a_descendant_is_known_in_every_moment_of_its_execs(tmp_path: Path) -> None:
    """In an execve(2) a process has no variables for a moment: who is a stranger then is not waited for."""
    script = tmp_path / "again"
    script.write_text('[ "$1" = 0 ] && exec sleep 60; exec sh "$0" $(($1 - 1))')
    with subprocess.Popen(["sh", str(script), "300"], env=environment(MARK="x")) as process:
        try:
            while Path(f"/proc/{process.pid}/cmdline").read_bytes() != b"sleep\x0060\0":
                assert b"MARK=x" in (environment_of(process.pid) or b"")
        finally:
            process.kill()


def test_wait_for_several_locks_is_told_once(tmp_path: Path) -> None:
    """It was as many times as long as there are locks."""
    told, begun = tmp_path / "told", time.monotonic()
    holder = pylock.lock("b").acquire()
    locks = [pylock.lock(name) for name in "abcd"]
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(pylock.run, ["sh", "-c", f"echo $PYLOCK_WAITED >'{told}'"], locks)
        until(lambda: time.monotonic() - begun > 0.3)
        holder.release()
        outcome = running.result(10)
    assert 0 < outcome.waited < time.monotonic() - begun
    assert float(told.read_text()) == pytest.approx(outcome.waited, abs=0.001)


def python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


REAPS_ALL = """
import os, signal, pylock
reaped = []
def reap(number, frame):
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            reaped.append(found[1])
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
"""


def test_handler_that_reaps_everybody_comes_after_the_command() -> None:
    program = """
number = pylock.sequence("x", transactional=True)
print(pylock.run(["sh", "-c", "exit 3"], number).exit_code, reaped)
with number as hold: print(hold.given)
if not os.fork(): os._exit(7)
while not reaped: pass
print(os.waitstatus_to_exitcode(reaped[0]))
"""
    assert python(REAPS_ALL + program) == "3 []\n1\n7\n"


def test_command_that_was_reaped_elsewhere_counts_as_failed() -> None:
    """Popen says 0 of it."""
    program = """
import logging, threading, time
logging.disable()
number = pylock.sequence("x", transactional=True)
outcome = []
thread = threading.Thread(target=lambda: outcome.append(pylock.run(["sh", "-c", "exit 3"], number)))
thread.start()
while thread.is_alive(): time.sleep(0.001)
print(outcome[0].ran, outcome[0].exit_code, outcome[0].signal, reaped)
with number as hold: print(hold.given)
"""
    known, unknown = "True 3 None []\n1\n", "True None None [768]\n1\n"
    assert python(REAPS_ALL + program) in (known, unknown)


@pytest.mark.parametrize(
    ("methods", "events"), [("__enter__ _stand_in _install", "call c_return"), ("_put_back", "c_return")]
)
def test_handlers_are_put_back_though_one_of_them_raises_meanwhile(methods: str, events: str) -> None:
    program = f"""
import signal, sys, pylock
from pylock._run import relay
def handler(number, frame): raise KeyboardInterrupt
numbers = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT]
for number in numbers: signal.signal(number, handler)
def state(): return [signal.getsignal(number) for number in signal.valid_signals()]
before, place, struck = state(), 0, True
codes = [getattr(relay.Relay, name).__code__ for name in "{methods}".split()]
def profile(frame, event, argument):
    global left, struck
    if event in "{events}".split() and frame.f_code in codes:
        left -= 1
        if not left:
            struck = True
            sys.setprofile(None)
            raise KeyboardInterrupt
while struck:
    place += 1
    left, struck = place, False
    sys.setprofile(profile)
    try:
        pylock.run(["true"], "x")
    except KeyboardInterrupt:
        pass
    sys.setprofile(None)
    assert state() == before, place
    pylock.lock("x").acquire_nowait().release()
print(place > 5)
"""
    assert python(program) == "True\n"


def test_tree_is_waited_for_without_a_descriptor_to_look_at_it() -> None:
    """A look in vain is none that says that nobody is there."""
    program = """
import os, resource, threading, time, pylock
from pylock._run import descendants, embedded
taken, looks = [], []
def look_again(seconds):  # as there was no descriptor
    looks.append(seconds)
    time.sleep(seconds)
descendants.sleep = look_again
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
def fill():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        while True: taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
read, write = os.pipe()
os.set_inheritable(read, True)
def end():
    while len(looks) < 3: time.sleep(0.001)
    os.close(write)
    while taken: os.close(taken.pop())
ending = threading.Thread(target=end)
ending.start()
wait = embedded._await_end
def then_fill(*words):
    status = wait(*words)
    fill()
    return status
embedded._await_end = then_fill
outcome = pylock.run(["sh", "-c", f"(exec 1>&- 2>&-; read x <&{read}; exit 0) & exit 5"], "x", wait_for="tree")
ending.join()
print(outcome.exit_code, taken)
"""
    assert python(program) == "5 []\n"


def test_handlers_of_other_signals_run_while_the_command_does() -> None:
    called: list[int] = []
    before = signal.signal(signal.SIGWINCH, lambda number, frame: called.append(number))
    try:
        pylock.run(["sh", "-c", f"kill -WINCH {os.getpid()}"], "x")
    finally:
        signal.signal(signal.SIGWINCH, before)
    assert called == [signal.SIGWINCH]


def test_command_is_shown_once_the_program_was_killed() -> None:
    program = "import pylock; pylock.run(['sh', '-c', 'echo $$; exec sleep 60'], 'x')"
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        command = int(running.stdout.readline())
        until(lambda: pylock.inspect("x").holders)
        running.kill()
    try:
        until(lambda: pylock.inspect("x").holders[0].shown_pid == command)
    finally:
        os.kill(command, signal.SIGKILL)
