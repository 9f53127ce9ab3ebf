"""Forks of every sort: a child frees nothing, shares nothing, keeps nothing; or holds on, where that was asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import environment
from contender import Contender, until

import pylock

MAKERS: dict[str, Callable[[], Any]] = {
    "exclusive": lambda: pylock.lock("x"),
    "shared": lambda: pylock.lock("x", "shared"),
    "counted": lambda: pylock.lock("x", "shared", capacity=3, weight=2),
    "null": lambda: pylock.lock("x", "null"),
    "concurrent_write": lambda: pylock.lock("x", "concurrent_write"),
    "protected_write": lambda: pylock.lock("x", "protected_write"),
    "pool": lambda: pylock.pool("x", ["a", "b"]),
    "sequence": lambda: pylock.sequence("x", transactional=True),
    "timestamp": lambda: pylock.timestamp("x", "%Y %f"),
    "path": lambda: pylock.path_lock("/x/y"),
    "all_of": lambda: pylock.all_of(pylock.lock("x"), pylock.lock("y")),
}

FORK_BY_C = """
import ctypes, os
fork = ctypes.PyDLL(None).fork
"""
FORK_BY_PYTHON = """
import os
fork = os.fork
"""
every_fork = pytest.mark.parametrize("fork", [FORK_BY_PYTHON, FORK_BY_C], ids=["python", "c"])


def python(program: str, *words: str) -> str:
    """Run the program to its end, and return what it and its children printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *words], env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def forking(fork: str, before: str, child: str, parent: str = "") -> str:
    """Do this before a fork, that in the child, and after the child's end the rest in the parent."""
    return python(
        fork
        + "import pylock\n"
        + textwrap.dedent(before)
        + "\npid = fork()\nif not pid:\n    try:\n"
        + textwrap.indent(textwrap.dedent(child), " " * 8)
        + "\n    except BaseException as error:\n        print(repr(error), flush=True)\n    os._exit(0)\n"
        + "os.waitpid(pid, 0)\n"
        + textwrap.dedent(parent)
    )


# What a child cannot do


@every_fork
@pytest.mark.parametrize(
    "how", ["hold.release()", "hold.check()", "lock.release()", "hold.fileno()", "hold.across_fork().__enter__()"]
)
def test_hold_of_the_parent_is_dead_in_the_child(fork: str, how: str) -> None:
    before = 'lock = pylock.lock("x"); hold = lock.acquire()'
    child = f"""
        try:
            {how}
        except pylock.NotHeld:
            print("not held", lock.held, flush=True)
    """
    after = "hold.check(); print(len(pylock.inspect('x').holders))"
    assert forking(fork, before, child, after) == "not held False\n1\n"


@every_fork
@pytest.mark.parametrize(
    "how",
    ["hold.__exit__(None, None, None)", "del hold, lock; import gc; gc.collect()", "lock.__exit__(None, None, None)"],
)
def test_end_of_a_hold_of_the_parent_in_the_child_frees_nothing(fork: str, how: str) -> None:
    before = 'lock = pylock.lock("x"); hold = lock.__enter__()'
    after = "hold.check(); print(len(pylock.inspect('x').holders)); lock.__exit__(None, None, None)"
    assert forking(fork, before, how, after) == "1\n"


@every_fork
def test_child_writes_its_own_number_into_records(fork: str) -> None:
    before = 'lock = pylock.lock("x")\nwith lock: pass'
    child = """
        with lock:
            print(pylock.inspect("x").holders[0].pid == os.getpid(), flush=True)
    """
    assert forking(fork, before, child) == "True\n"


@every_fork
def test_child_gets_a_lock_of_its_own_and_waits_for_that_of_the_parent(fork: str) -> None:
    before = 'hold = pylock.lock("x").acquire()'
    child = """
        try:
            pylock.lock("x").acquire(0.02)
        except pylock.LockTimeout as error:
            print(error.holders[0].pid == os.getppid(), flush=True)
        with pylock.lock("y"): pass
    """
    assert forking(fork, before, child, "hold.check()") == "True\n"


@every_fork
def test_child_inside_the_block_of_its_parent_waits_and_finds_no_deadlock_of_its_own(fork: str) -> None:
    before = 'lock = pylock.lock("x"); lock.__enter__()'
    child = """
        try:
            with pylock.lock("x", timeout=0.02): pass
        except pylock.LockError as error:
            print(type(error).__name__, flush=True)
    """
    assert forking(fork, before, child) == "LockTimeout\n"


@every_fork
def test_two_children_never_share_the_descriptor_that_was_kept(fork: str) -> None:
    """They would both hold: the kernel cannot tell those who have one open file description."""
    program = """
import time
import pylock
lock = pylock.lock("x")
read, write = os.pipe()
for _ in range(40):
    with lock: pass
children = []
for _ in range(2):
    pid = fork()
    if not pid:
        os.close(write)
        try:
            hold = lock.acquire_nowait()
        except pylock.WouldBlock:
            os._exit(1)
        os.read(read, 1)
        os._exit(0)
    children.append(pid)
ended, status = os.wait()
os.close(write)
print(os.waitstatus_to_exitcode(status), os.waitstatus_to_exitcode(os.wait()[1]))
"""
    assert python(fork + program) == "1 0\n"


@every_fork
def test_child_that_lives_on_keeps_no_lock_that_the_parent_released(fork: str) -> None:
    program = """
import signal
import pylock
hold = pylock.lock("x").acquire()
pid = fork()
if not pid:
    signal.pause()
hold.release()
with pylock.lock("x", timeout=5): print("had")
other = pylock.lock("y").acquire()
del other
with pylock.lock("y", timeout=5): print("had")
os.kill(pid, 9)
os.waitpid(pid, 0)
"""
    assert python(fork + program) == "had\nhad\n"


# Forks while another thread is at it

WHILE = """
import os, sys, threading, time
import pylock
sys.setswitchinterval(1e-6)
stop, stuck = False, []
pylock.define("defined", capacity=5)
def work(number):
    lock = pylock.lock(f"x{number}")
    while not stop:
        try:
            {step}
        except pylock.WouldBlock:
            stuck.append(number)
            return
workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for worker in workers: worker.start()
children, end = [], time.monotonic() + 0.5
while time.monotonic() < end and not stuck:
    pid = os.fork()
    if not pid:
        time.sleep(60)
        os._exit(0)
    children.append(pid)
    time.sleep(0.002)
stop = True
for worker in workers: worker.join()
for pid in children:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
print(stuck)
"""


@pytest.mark.parametrize(
    "step",
    [
        "hold = pylock.lock(f'x{number}').acquire_nowait(); hold = None",
        "pylock.lock(f'x{number}', idle_lifespan=0).acquire_nowait().release()",
        "pylock.inspect(f'x{number}'); lock.acquire_nowait().release()",
        "pylock.all_of(lock, pylock.lock(f'y{number}')).acquire_nowait().release()",
        "hold = lock.acquire_nowait(); hold.convert('shared'); hold.convert('exclusive', 0); hold.release()",
        "lock.acquire_nowait().release(); pylock.define(f'x{number}', policy='fair')",
    ],
    ids=["drop", "removal", "look", "several", "conversion", "definition"],
)
def test_fork_at_any_moment_leaves_the_lock_to_nobody(step: str) -> None:
    assert python(WHILE.replace("{step}", step)) == "[]\n"


# Holds that go with a fork


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            pass


DAEMON = """
import os, signal, sys
import pylock
lock = {lock}
print(os.getpid(), flush=True)
with lock as hold:
    with hold.across_fork():
        if os.fork():
            {end}
        os.setsid()
        if os.fork():
            os._exit(0)
        spared = {spared}
        start = 3
        for fd in sorted(spared):
            os.closerange(start, fd)
            start = fd + 1
        os.closerange(start, 256)
    hold.check()
    print(os.getpid(), flush=True)
    signal.pause()
"""


def begin_daemon(lock: str, end: str, spared: str = "[hold.fileno()]") -> tuple[subprocess.Popen[str], int]:
    """Start a program that takes the lock and becomes a daemon by a double fork; return it, and the daemon's pid."""
    program = DAEMON.format(lock=lock, end=end, spared=spared)
    process = subprocess.Popen([sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), 9)", "raise SystemExit(1)"])
@pytest.mark.parametrize(
    "lock", ['pylock.lock("x")', 'pylock.lock("x", "shared", capacity=2)', 'pylock.pool("x", ["a"])']
)
def test_daemon_holds_on_however_its_parent_ends(lock: str, end: str, contenders: type[Contender]) -> None:
    process, daemon = begin_daemon(lock, end)
    try:
        process.wait(20)
        holders = pylock.inspect("x").holders
        assert [holder.pid for holder in holders] == [daemon]
        assert process.pid != daemon
    finally:
        os.kill(daemon, signal.SIGKILL)
        process.communicate()
    until(lambda: not pylock.inspect("x").holders)


def test_daemon_holds_all_of_several() -> None:
    spared = "[each.fileno() for each in hold.holds]"
    process, daemon = begin_daemon('pylock.all_of(pylock.lock("x"), pylock.lock("y", "shared"))', "os._exit(0)", spared)
    try:
        assert [pylock.inspect(name).holders[0].pid for name in "xy"] == [daemon, daemon]
    finally:
        os.kill(daemon, signal.SIGKILL)
        process.communicate()


def test_parent_of_a_hold_that_went_has_nothing_left() -> None:
    program = """
import os
import pylock
lock = pylock.lock("x")
hold = lock.acquire()
fd = hold.fileno()
read, write = os.pipe()
with hold.across_fork():
    if not (pid := os.fork()):
        os.close(write)
        os.read(read, 1)
        hold.release()
        os._exit(0)
    for use in (hold.check, hold.release, hold.fileno, lambda: hold.convert("shared")):
        try:
            use()
        except pylock.NotHeld:
            print("not held")
    print(lock.held)
print(os.path.exists(f"/proc/self/fd/{fd}"))
while [holder.pid for holder in pylock.inspect("x").holders] != [pid]: pass  # the child signs as it begins
try:
    lock.acquire(0.02)
except pylock.LockTimeout:
    print("busy")
os.close(write)
os.waitpid(pid, 0)
with pylock.lock("x", timeout=1):
    print("free")
"""
    assert python(program) == "not held\n" * 4 + "False\nFalse\nbusy\nfree\n"


def test_child_that_got_a_hold_may_do_all_with_it() -> None:
    program = """
import os
import pylock
hold = pylock.lock("x").acquire()
with hold.across_fork():
    pid = os.fork()
if pid:
    os.waitpid(pid, 0)
else:
    hold.check()
    hold.convert("shared")
    hold.convert("exclusive", timeout=1)
    print(pylock.inspect("x").holders[0].pid == os.getpid(), flush=True)
    hold.release()
    print(pylock.inspect("x").holders, flush=True)
"""
    assert python(program) == "True\n()\n"


def test_child_inside_the_block_that_came_with_the_hold_finds_its_deadlock() -> None:
    program = """
import os
import pylock
with pylock.lock("x") as hold:
    with hold.across_fork():
        pid = os.fork()
    if not pid:
        try:
            pylock.lock("x").acquire(1)
        except pylock.Deadlock:
            print("deadlock", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
    assert python(program) == "deadlock\n"


def test_fork_after_the_block_takes_nothing_along() -> None:
    program = """
import os
import pylock
hold = pylock.lock("x").acquire()
with hold.across_fork():
    pass
pid = os.fork()
if not pid:
    try:
        hold.release()
    except pylock.NotHeld:
        os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
hold.check()
hold.release()
"""
    assert python(program) == "0\n"


def test_fork_after_the_block_leaves_the_child_no_descriptor() -> None:
    """It would hold the lock for a parent that is killed."""
    program = """
import os
import pylock
hold = pylock.lock("x").acquire()
before = os.listdir("/proc/self/fd")
with hold.across_fork():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)
other = pylock.lock("y").acquire()
with other.across_fork():
    pass
pid = os.fork()
if not pid:
    try:
        os.fstat(other.fileno())
    except pylock.NotHeld:
        pass
    print(len(os.listdir("/proc/self/fd")) - len(before), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(len(os.listdir("/proc/self/fd")) - len(before), flush=True)
"""
    assert python(program) == "-1\n0\n", "in the child that of the hold that went is closed, in the parent too"


def test_block_that_could_not_begin_takes_nothing_along() -> None:
    program = """
import os
import pylock
from pylock._acquiring import inheritance

def strike(fd, keeps):
    if keeps:
        raise KeyboardInterrupt

hold = pylock.lock("x").acquire()
keep, inheritance.keep_in_child = inheritance.keep_in_child, strike
try:
    hold.across_fork().__enter__()
except KeyboardInterrupt:
    inheritance.keep_in_child = keep
    pid = os.fork()
    if not pid:
        os._exit(hold.held)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), hold.held)
"""
    assert python(program) == "0 True\n"


def test_hold_that_was_released_cannot_go() -> None:
    hold = pylock.lock("x").acquire()
    hold.release()
    with pytest.raises(pylock.NotHeld):
        hold.across_fork().__enter__()


def test_only_the_first_child_gets_the_hold() -> None:
    program = """
import os
import pylock
hold = pylock.lock("x").acquire()
read, write = os.pipe()
children = []
with hold.across_fork():
    for _ in range(2):
        if not (pid := os.fork()):
            try:
                hold.check()
                os.write(1, b"mine\\n")
                os.close(write)
                os.read(read, 1)
            except pylock.NotHeld:
                files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
                os.write(1, b"mine too\\n" if any(file.endswith("x.lock") for file in files) else b"not mine\\n")
            os._exit(0)
        children.append(pid)
os.waitpid(children[1], 0)
try:
    pylock.lock("x").acquire_nowait()
except pylock.WouldBlock as error:
    print(error.holders[0].pid == children[0], flush=True)
os.close(write)
os.waitpid(children[0], 0)
"""
    assert sorted(python(program).split("\n")) == ["", "True", "mine", "not mine"]


FORKER = """
import os, sys, threading, time
from pylock import _process as process
from pylock._file import descriptors
def fork():
    if not (pid := os.fork()):
        os._exit(in_child())
    print("the child ended with", os.waitpid(pid, 0)[1])
def place():
    frame = sys._current_frames().get(forker.ident)
    return frame and frame.f_code.co_name
def fork_meanwhile():
    forker.start()
    while forker.is_alive() and place() != "_before_fork":
        time.sleep(0.001)
in_child = lambda: 0
forker = threading.Thread(target=fork)
"""
"""Another thread, whose fork begins meanwhile, and waits where it has to."""


@pytest.mark.parametrize(("first", "second"), [("process.loading", "descriptors._opening"),
                                               ("descriptors._opening", "process.loading")])  # fmt: skip
def test_fork_waits_for_no_lock_with_another_one_in_hand(first: str, second: str) -> None:
    """Others take them in any order, as a hold may be collected, and so let go of, wherever Python code runs."""
    program = f"""
with {first}:
    fork_meanwhile()
    with {second}:
        pass
forker.join()
"""
    assert python(FORKER + program) == "the child ended with 0\n"


def test_no_fork_falls_between_the_opening_of_a_descriptor_and_its_noting(tmp_path: Path) -> None:
    program = """
def open_slowly(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fork_meanwhile()
    return fd
def in_child():
    return any(os.path.realpath(f"/proc/self/fd/{fd}") == sys.argv[1] for fd in os.listdir("/proc/self/fd"))
descriptors.noted(False, open_slowly, sys.argv[1])
forker.join()
"""
    assert python(FORKER + program, str(tmp_path.resolve() / "opened")) == "the child ended with 0\n"


def test_hold_stays_with_the_parent_if_the_fork_failed() -> None:
    program = """
import os, resource
import pylock
hold = pylock.lock("x").acquire()
if not os.getuid():
    os.setuid(65534)  # no limit counts for root
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
with hold.across_fork():
    try:
        os.fork()
        os._exit(1)
    except BlockingIOError:
        print("refused")
    hold.fileno()
    with hold.across_fork(): pass
hold.fileno()
hold.release()
"""
    assert python(program) == "refused\n"


@pytest.mark.parametrize("hook", ["_before_fork", "_become_parent"])
def test_parent_whose_part_of_the_fork_was_interrupted_believes_nothing(hook: str) -> None:
    """A signal handler raises as the part begins, or in the middle, while the child has the hold."""
    program = f"""
import os, sys
import pylock
from pylock._acquiring import inheritance
hold = pylock.lock("x").acquire()
sys.unraisablehook = lambda _: None
left, parent = int(sys.argv[1]), os.getpid()
def interrupt(frame, event, argument):
    global left
    if frame.f_code is not inheritance.{hook}.__code__ or os.getpid() != parent:
        return None
    left -= 1
    if not left:
        raise KeyboardInterrupt
    return interrupt
sys.settrace(interrupt)
with hold.across_fork():
    pid = os.fork()
    sys.settrace(None)
    if not pid:
        hold.check()
        os._exit(0)
    mine = True
    try:
        hold.check()
    except pylock.NotHeld:
        mine = False
    theirs = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(mine, theirs, left > 0)
if mine:
    hold.release()
"""
    for step in range(1, 30):
        mine, theirs, done = python(program, str(step)).split()
        assert (mine, theirs) == ("False", "True")
        if done == "True":
            break


def test_handler_that_raises_as_the_block_begins_leaves_the_hold_here() -> None:
    program = """
import os, sys
import pylock
from pylock._acquiring import inheritance
def interrupt(frame, event, argument):
    if frame.f_code is not inheritance.AcrossFork.__enter__.__code__:
        return None
    if event == "line" and inheritance._passing:
        raise KeyboardInterrupt
    return interrupt
hold = pylock.lock("x").acquire()
sys.settrace(interrupt)
try:
    with hold.across_fork():
        print("inside")
except KeyboardInterrupt:
    sys.settrace(None)
    if not (pid := os.fork()):
        try:
            hold.check()
            os._exit(1)
        except pylock.NotHeld:
            os._exit(0)
    print(os.waitpid(pid, 0)[1])
    hold.check()
"""
    assert python(program) == "0\n"


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_is_dead_in_a_child_and_alive_in_the_parent(kind: str) -> None:
    hold = MAKERS[kind]().acquire()
    pid = os.fork()
    if not pid:
        try:
            hold.release()
        except pylock.NotHeld:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    hold.check()
    hold.release()
