"""`pylock kill`: those who hold a lock end, nobody else does, and it says what it did."""

from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command import PYLOCK, Running, environment, pylock
from contender import Contender, until

import pylock as library
from pylock._cli import main
from pylock._cli.kill import Process
from pylock._process import start_time
from pylock._run.descendants import environment_of

STUBBORN = ["sh", "-c", 'trap "" TERM; echo $$; exec sleep 60']
"""A command that TERM does not end."""


@pytest.fixture
def stubborn() -> Iterator[tuple[Running, int]]:
    """A `pylock run` that holds "x", and the pid of its command."""
    running = Running("run", "x", "--", *STUBBORN)
    try:
        command = int(running.line())
        until(lambda: library.inspect("x").holders[0].child == command)  # it may have begun before it is noted
        yield running, command
    finally:
        running.close()


def ended(contender: Contender) -> bool:
    return not Path(f"/proc/{contender.pid}/cmdline").read_bytes()


def test_holder_ends_and_waiters_go_on(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("x")
    waiter.start_acquiring("x")
    done = pylock("kill", "x")
    assert (done.returncode, f"pid {holder.pid} on " in done.stdout, done.stderr) == (0, True, "")
    assert done.stdout.endswith(": SIGTERM sent\n")
    assert ended(holder)
    assert isinstance(waiter.answer(), int)


def test_waiters_end_too_if_asked_for(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("x")
    waiter.start_acquiring("x")
    assert pylock("kill", "--waiters", "x").stdout.count("SIGTERM sent") == 2
    assert ended(holder)
    assert ended(waiter)


def test_a_stopped_holder_ends(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    holder.stop()
    assert pylock("kill", "x").returncode == 0
    assert ended(holder)


def test_command_that_ignores_the_signal_is_killed_after_the_grace(stubborn: tuple[Running, int]) -> None:
    running, command = stubborn
    done = pylock("kill", "--grace", "0.2", "x")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == [f"pid {command}: SIGKILL sent"]
    assert running.end()[0] == -signal.SIGKILL, "run reports how its command ended"


def test_the_first_signal_can_be_chosen(contenders: type[Contender]) -> None:
    contenders().acquire("x")
    assert "SIGINT sent" in pylock("kill", "-s", "INT", "x").stdout


def test_command_of_a_dead_supervisor_is_found_and_ended(stubborn: tuple[Running, int]) -> None:
    running, command = stubborn
    running.signal(signal.SIGKILL)
    running.process.wait()
    done = pylock("kill", "--grace", "0.1", "x")
    assert (done.returncode, f"pid {command} on " in done.stdout) == (0, True)
    assert library.inspect("x").holders == ()


def test_a_process_that_has_the_number_now_is_left_alone(stubborn: tuple[Running, int], directory: Path) -> None:
    running, command = stubborn
    running.signal(signal.SIGKILL)
    running.process.wait()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            file = directory / "x.lock"
            old, new = f'"pid":{running.pid},'.encode(), f'"pid":{innocent.pid},'.encode()
            assert len(old) == len(new), "or else the record would be another one"
            with file.open("r+b") as opened:
                opened.write(file.read_bytes().replace(old, new))
            assert library.inspect("x").holders[0].pid == innocent.pid
            done = pylock("kill", "--grace", "0", "x")
            assert f"pid {command}: SIGKILL sent" in done.stdout
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_holder_of_another_boot_or_host_is_left_alone(directory: Path, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    file = directory / "x.lock"
    with file.open("r+b") as opened:
        opened.write(file.read_bytes().replace(boot, boot[::-1]))
    done = pylock("kill", "--grace", "0", "x")
    assert done.returncode == 1
    assert "is no process of this host that can be seen from here; left alone" in done.stdout
    assert done.stdout.endswith(": still holds\n")
    assert holder.ask("release") is None


def test_nobody_and_nothing_to_end(directory: Path) -> None:
    done = pylock("kill", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert f'there is no lock "x"; looked in {directory}, by $PYLOCK_DIR' in done.stderr
    with library.lock("x"):
        pass
    done = pylock("kill", "x")
    assert (done.returncode, done.stdout) == (0, 'nobody holds "x"\n')


@pytest.mark.parametrize(("answer", "status"), [("n", 1), ("", 1), ("y", 0)])
def test_it_asks_on_a_terminal(answer: str, status: int, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PYLOCK, "kill", "x"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(),
    ) as asking:  # fmt: skip
        os.write(ours, f"{answer}\n".encode())
        said, _ = asking.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "end them? [y/N] " in said
    assert f" {holder.pid} " in said
    assert asking.returncode == status
    assert ended(holder) == (status == 0)


def test_it_does_not_ask_if_told_so(contenders: type[Contender]) -> None:
    contenders().acquire("x")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*PYLOCK, "kill", "--yes", "x"], stdin=theirs, capture_output=True, text=True, env=environment(), check=False
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, "end them" in done.stdout) == (0, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_is_left_alone(
    contenders: type[Contender], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    place = TemporaryDirectory()  # not below pytest's own, which every other run of it closes to all others
    request.addfinalizer(place.cleanup)
    monkeypatch.setenv("PYLOCK_DIR", place.name)
    os.chmod(place.name, 0o777)
    holder = contenders()
    holder.acquire("x")
    os.chmod(os.path.join(place.name, "x.lock"), 0o666)
    status, said = as_another_user("kill", "--grace", "0", "x")
    assert (status, "is not seen to have the lock file open, which only its user " in said) == (1, True)
    assert holder.ask("release") is None


def test_who_only_stands_in_a_record_is_left_alone(directory: Path, contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            file = directory / "x.lock"
            forged = file.read_bytes()
            for key, of_holder, of_innocent in (
                ("pid", holder.pid, innocent.pid), ("start", start_time(holder.pid), start_time(innocent.pid)),
            ):  # fmt: skip
                old, new = f'"{key}":{of_holder},'.encode(), f'"{key}":{of_innocent},'.encode()
                assert len(old) == len(new)
                forged = forged.replace(old, new)
            with file.open("r+b") as opened:
                opened.write(forged)
            done = pylock("kill", "--grace", "0", "x")
            assert (done.returncode, "is not seen to have the lock file open" in done.stdout) == (1, True)
            assert innocent.poll() is None
        finally:
            innocent.kill()
    assert holder.ask("release") is None


def as_another_user(*words: str) -> tuple[int, str]:
    """Carry out the words in a fork, because that user may not even start this interpreter."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setgroups([])
        os.setuid(65534)
        for fd in (1, 2):
            os.dup2(writing, fd)
        with open(1, "w", closefd=False) as sys.stdout:
            status = main(list(words))
        os._exit(status)
    os.close(writing)
    with open(reading) as said:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.read()


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_signal_reaches_only_who_started_then(has_pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_pidfd:
        monkeypatch.setattr(os, "pidfd_open", lambda pid: _fail(errno.ENOSYS))
    with subprocess.Popen(["sleep", "60"]) as child:
        start = start_time(child.pid)
        assert not Process(child.pid, start + 1).send(signal.SIGKILL)
        assert not Process(child.pid, 0).send(signal.SIGKILL)
        assert child.poll() is None
        assert Process(child.pid, start).send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert not Process(child.pid, start).send(signal.SIGKILL)


def _fail(number: int) -> int:
    raise OSError(number, os.strerror(number))


# Whose descriptor it is

HOLDS = """
import os, signal, subprocess, sys, threading
import pylock
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hold = pylock.lock("x", sys.argv[1]).acquire()
print("ready", flush=True)
"""
"""A program that takes the lock, and that TERM does not end."""
DEAF = (
    HOLDS
    + """
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""
)
"""One that does what it is told besides."""


class Deaf:
    def __init__(self, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DEAF, mode], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1, start_new_session=True,
        )  # fmt: skip
        self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, statement: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(statement + "\n")
        return self.answer()


@pytest.fixture
def deaf() -> Iterator[Callable[[str], Deaf]]:
    begun: list[Deaf] = []

    def begin(mode: str) -> Deaf:
        begun.append(Deaf(mode))
        return begun[-1]

    yield begin
    for each in begun:
        try:
            os.killpg(each.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        each.process.communicate()


@pytest.fixture
def kills() -> Iterator[Callable[[], Running]]:
    """A `pylock kill` that has sent its first signal, and waits whether that ends anybody."""
    running = None

    def begin() -> Running:
        nonlocal running
        running = Running("kill", "--grace", "0.5", "x")
        assert "SIGTERM sent" in running.line()
        return running

    yield begin
    if running is not None:
        running.close()


def test_child_with_a_hold_of_its_own_is_left_alone(deaf: Callable[[str], Deaf], kills: Callable[[], Running]) -> None:
    holder = deaf("shared")
    killing = kills()
    program = HOLDS + "signal.pause()"
    holder.do(f"child = subprocess.Popen([sys.executable, '-c', {program!r}, 'shared'], stdout=subprocess.DEVNULL)")
    child = int(holder.do("print(child.pid, flush=True)"))
    assert holder.answer() == "done"
    until(lambda: len(library.inspect("x").holders) == 2)
    assert killing.end()[0] == 0
    assert holder.process.wait(10) == -signal.SIGKILL
    assert [each.pid for each in library.inspect("x").holders] == [child]


def test_descendants_of_a_later_holder_are_left_alone(
    deaf: Callable[[str], Deaf], kills: Callable[[], Running]
) -> None:
    supervisor = Running("run", "-m", "shared", "x", "--", *STUBBORN)
    command = int(supervisor.line())
    supervisor.signal(signal.SIGKILL)
    supervisor.process.wait()
    killing = kills()
    later = Running("run", "-m", "shared", "x", "--", "sh", "-c", "(sh -c 'echo $$; exec sleep 60'); :")
    try:
        grandchild = int(later.line())
        assert killing.end()[0] == 0
        assert not Path(f"/proc/{command}").exists() or Path(f"/proc/{command}/stat").read_text().split()[2] == "Z"
        os.kill(grandchild, 0)
        assert [each.pid for each in library.inspect("x").holders] == [later.pid]
    finally:
        later.close()
        supervisor.close()


def test_holder_that_converts_meanwhile_is_the_same(deaf: Callable[[str], Deaf], kills: Callable[[], Running]) -> None:
    holder = deaf("exclusive")
    since = library.inspect("x").holders[0].since
    killing = kills()
    assert holder.do("hold.convert('shared')") == "done"
    assert library.inspect("x").holders[0].since == since
    assert killing.end()[0] == 0
    assert holder.process.wait(10) == -signal.SIGKILL


def test_holder_whose_first_thread_has_ended_is_there(
    deaf: Callable[[str], Deaf], kills: Callable[[], Running]
) -> None:
    """/proc shows nothing of it but in its other threads, and the first one as a zombie."""
    holder = deaf("exclusive")
    holder.do("threading.Thread(target=threading.Event().wait).start()")
    assert holder.process.stdin is not None
    holder.process.stdin.write("import ctypes; ctypes.CDLL(None).syscall(60, 0)\n")
    until(lambda: Path(f"/proc/{holder.process.pid}/stat").read_text().split()[2] == "Z")
    assert environment_of(holder.process.pid) is None
    assert kills().end()[0] == 0
    assert holder.process.wait(10) == -signal.SIGKILL
    assert environment_of(holder.process.pid) == b""
