"""Fork, exec, signals, collection and the end of the interpreter: nothing is freed, kept or lost by them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command import environment
from contender import ROOT, until, waiting
from kernel import descriptors_of

import pylock


def in_forked_child(action: Callable[[], None]) -> int:
    """Run the action in a forked child and return its exit status: 0 if it did not raise."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments, "-c", program], env=environment, capture_output=True, text=True, timeout=60,
        check=False, **options,
    )  # fmt: skip


def start(program: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)


def test_forked_child_can_neither_release_nor_check_the_hold_of_its_parent() -> None:
    lock = pylock.lock("x")
    with lock as hold:

        def child() -> None:
            for action in (hold.release, hold.check, lock.release):
                with pytest.raises(pylock.NotHeld):
                    action()
            assert not lock.held

        assert in_forked_child(child) == 0
        hold.check()
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()


def test_forked_child_that_leaves_the_block_of_its_parent_frees_nothing() -> None:
    pid = 0
    with pylock.lock("x") as hold:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if not pylock.lock("x").held else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        hold.check()


def test_forked_child_does_not_keep_the_lock_of_a_dead_parent(directory: Path) -> None:
    parent = start(
        "import os, sys, time, pylock\n"
        "hold = pylock.lock('x').acquire()\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    try:
        pylock.lock("x", timeout=10).acquire().release()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_forked_child_may_take_the_lock_for_itself() -> None:
    lock = pylock.lock("x", "shared")
    with lock:
        assert in_forked_child(lambda: lock.acquire_nowait().release()) == 0


def test_fork_while_another_thread_loads_what_it_needs_first() -> None:
    program = """
import faulthandler, importlib.abc, os, sys, threading
import pylock

begun, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pylock._acquiring.refusals":
            begun.set()
            forking.wait()  # so that it is loaded no sooner than the fork begins

def refused():
    try:
        pylock.lock("x").acquire_nowait()
    except pylock.WouldBlock:
        pass

held = pylock.lock("x").acquire()
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=refused)
thread.start()
begun.wait()
pid = os.fork()
if pid == 0:
    faulthandler.dump_traceback_later(30, exit=True)
    refused()
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], env=environment(), check=False).returncode == 0


def test_record_of_a_forked_child_shows_the_child() -> None:
    lock = pylock.lock("x")
    with lock:
        pass

    def child() -> None:
        with lock:
            assert pylock.inspect("x").holders[0].pid == os.getpid()

    assert in_forked_child(child) == 0


def test_fork_while_another_thread_holds_and_waits(directory: Path) -> None:
    with pylock.lock("x"), ThreadPoolExecutor() as pool:
        waiter = pool.submit(pylock.lock("x").acquire, 0.5)
        waiting("x", 1)

        def child() -> None:
            for path in (directory / "x.lock", directory / "x.lock.0"):
                assert not descriptors_of(path)

        assert in_forked_child(child) == 0
        with pytest.raises(pylock.LockTimeout):
            waiter.result(10)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing_children_exclude_each_other(method: str, directory: Path) -> None:
    context = multiprocessing.get_context(method)
    (directory / "counter").write_text("0")
    children = [context.Process(target=add, args=(str(directory), 25)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        child.close()
    assert (directory / "counter").read_text() == "100"


def add(directory: str, times: int) -> None:
    counter = Path(directory, "counter")
    for _ in range(times):
        with pylock.lock("x", directory=directory):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_command_that_is_started_does_not_inherit_the_lock() -> None:
    with pylock.lock("x"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        pylock.lock("x").acquire_nowait().release()
    finally:
        child.kill()
        child.wait()


def test_interrupt_while_waiting_leaves_nothing(directory: Path) -> None:
    with pylock.lock("x"):
        waiter = start(
            "import os, pylock\n"
            "try: pylock.lock('x').acquire()\n"
            "except KeyboardInterrupt: print(sorted(os.listdir(os.environ['PYLOCK_DIR'])))\n"
        )
        waiting("x", 1)
        waiter.send_signal(signal.SIGINT)
        output, _ = waiter.communicate(timeout=30)
        assert output == "['x.lock']\n"
        assert pylock.inspect("x").waiters == ()


def test_interrupt_at_any_moment_leaves_nothing_held(directory: Path) -> None:
    """An interval timer whose handler raises strikes again and again at arbitrary places."""
    program = """
import gc, os, signal, time, warnings
import pylock
warnings.simplefilter("ignore", ResourceWarning)

class Struck(Exception): pass
armed = False
def strike(*_):
    global armed
    if armed:
        armed = False
        raise Struck
signal.signal(signal.SIGALRM, strike)
lock = pylock.lock("x")
strikes = 0
end = time.monotonic() + 0.7
while time.monotonic() < end:
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, 0.00001 + (strikes % 50) * 0.000002)
        for _ in range(50):
            with lock: pass
        armed = False
    except Struck:
        strikes += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    if lock.held:
        lock.release()  # struck at the first instruction of __exit__, which therefore did not run
    pylock.lock("x", "shared").acquire_nowait().release()
state = pylock.inspect("x")
print(strikes > 100, state.holders, state.waiters)
"""
    done = run(program)
    assert done.stdout == "True () ()\n", done.stderr  # what strikes in a __del__ is reported and has no effect


def test_signal_handler_that_returns_does_not_end_the_wait() -> None:
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        with ThreadPoolExecutor() as pool:
            hold = pool.submit(pylock.lock("x").acquire).result()

            def disturb() -> None:
                waiting("x", 1)
                for _ in range(5):
                    os.kill(os.getpid(), signal.SIGUSR1)
                    time.sleep(0.001)
                hold.release()

            disturbing = pool.submit(disturb)
            pylock.lock("x").acquire(20).release()
            disturbing.result()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen


def test_end_of_the_interpreter_frees_the_lock_quietly() -> None:
    done = run(
        "import pylock\nkept = pylock.lock('x').acquire()\nlock = pylock.lock('y'); lock.acquire()\n", "-W", "error"
    )
    assert (done.returncode, done.stderr) == (0, "")
    pylock.lock("x").acquire_nowait().release()


def test_daemon_thread_that_waits_does_not_hinder_the_end(directory: Path) -> None:
    done = run(
        "import threading, time, pylock\n"
        "hold = pylock.lock('x').acquire()\n"
        "threading.Thread(target=pylock.lock('x').acquire, daemon=True).start()\n"
        "while not pylock.inspect('x').waiters: time.sleep(0.001)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert pylock.inspect("x").waiters == ()


def test_release_in_another_thread() -> None:
    hold = pylock.lock("x").acquire()
    thread = threading.Thread(target=hold.release)
    thread.start()
    thread.join()
    pylock.lock("x").acquire_nowait().release()


def test_holder_that_is_killed_with_its_group_is_gone() -> None:
    holder = start("import pylock, time\npylock_hold = pylock.lock('x').acquire()\ntime.sleep(60)\n")
    until(lambda: pylock.lock("x").locked())
    holder.kill()
    holder.communicate()
    assert not pylock.lock("x").locked()


def test_first_lock_without_a_descriptor_to_spare_leaves_later_ones_known() -> None:
    """There is none for a look at /proc, which says who this process is."""
    program = """
import os, resource
import pylock
pylock.lock("early")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
filled = []
try:
    while True: filled.append(os.open("/dev/null", 0))
except OSError:
    os.close(filled.pop())
early = pylock.lock("early").acquire()
for fd in filled: os.close(fd)
late = pylock.lock("late").acquire()
print(pylock.inspect("late").holders[0].is_here, pylock.inspect("early").holders[0].pid == os.getpid())
early.release()
with pylock.lock("early").acquire():
    print(pylock.inspect("early").holders[0].is_here)
late.release()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True True\nTrue\n", "")
