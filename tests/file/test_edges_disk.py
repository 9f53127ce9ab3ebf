"""A full disk: who frees it needs a lock, too. A plain one needs no byte and no inode more; what does says so."""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from command import PYLOCK, Running, environment
from command import pylock as command

import pylock

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="mounts a small file system, in a namespace of its own",
)

HEAD = """
import os, subprocess, sys, threading, time
import pylock
place = os.environ["PYLOCK_DIR"]
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
def fill():
    with open(place + "/fill", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096: pass
        except OSError:
            pass
def told(act):
    try:
        act()
    except (OSError, pylock.LockError) as error:
        return f"{type(error).__name__} {getattr(error, 'errno', None)}"
    return "done"
def take_turns(lock, count):
    order, hold = [], lock.acquire()
    def wait(number):
        with pylock.lock(hold.name, str(hold.mode), timeout=20):
            order.append(number)
    threads = []
    for number in range(count):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(pylock.inspect(hold.name).waiters) <= number: time.sleep(0.001)
    hold.release()
    for thread in threads: thread.join()
    return order
"""


def in_namespace(program: str) -> list[str]:
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", HEAD + textwrap.dedent(program)], env=environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@needs_root
@pytest.mark.parametrize("known", [False, True], ids=["new", "used before"])
@pytest.mark.parametrize(
    "mode", ["exclusive", "shared", "null", "concurrent_read", "concurrent_write", "protected_write"]
)
def test_plain_lock_is_had_on_a_full_disk(mode: str, known: bool) -> None:
    said = in_namespace(f"""
        mount("size=64k")
        if {known}:
            with pylock.lock("x", {mode!r}): pass
        fill()
        tokens = []
        for _ in range(3):
            with pylock.lock("x", {mode!r}) as hold:
                hold.check()
                tokens.append(hold.token)
        print(tokens == sorted(tokens), len(set(tokens)) == 3 or not hold.mode.code in ("EX", "PW"))
        hold = pylock.lock("x", {mode!r}).acquire()
        print(told(lambda: pylock.lock("x").acquire(0.02).release()))
        print(told(lambda: pylock.lock("x").acquire_nowait().release()))
        hold.release()
        with pylock.all_of(pylock.lock("x", {mode!r}), pylock.lock("y")): pass
        print(pylock.run(["true"], "x").exit_code)
    """)
    free = mode == "null"
    assert said == ["True True", "done" if free else "LockTimeout None", "done" if free else "WouldBlock None", "0"]


@needs_root
@pytest.mark.parametrize("options", ["size=64k", "nr_inodes=3"], ids=["no block", "no inode"])
def test_many_wait_on_a_full_disk_and_take_turns(options: str) -> None:
    """Without an inode there is no bell: each looks by itself."""
    said = in_namespace(f"""
        mount({options!r})
        with pylock.lock("x"): pass
        if "size" in {options!r}:
            fill()
        else:
            with pylock.lock("y"): pass
            print(told(lambda: pylock.lock("z").acquire().release()))
        print(sorted(take_turns(pylock.lock("x"), 5)))
        print([name for name in os.listdir(place) if name.startswith("x.lock.")])
    """)
    assert said[-2:] == ["[0, 1, 2, 3, 4]", "[]"]
    assert said[:-2] == ([] if "size" in options else ["OSError 28"])


@needs_root
def test_what_needs_the_disk_says_so_and_changes_nothing() -> None:
    said = in_namespace("""
        mount("size=64k")
        with pylock.sequence("s") as hold: print(hold.value)
        with pylock.lock("known", "shared", capacity=3): pass
        fill()
        print(told(lambda: pylock.define("new", capacity=3)))
        print(told(lambda: pylock.lock("other", "shared", capacity=2).acquire().release()))
        print(told(lambda: pylock.sequence("t").acquire().release()))
        print(told(lambda: pylock.lock("known", "shared", capacity=3).acquire().release()))
        print(pylock.inspect("new").definition.given_capacity, pylock.inspect("known").definition.capacity)
        with pylock.lock("new"): pass
        os.unlink(place + "/fill")
        print(told(lambda: pylock.define("new", capacity=3)), pylock.inspect("new").definition.capacity)
        with pylock.sequence("s") as hold: print(hold.value)
        with pylock.sequence("t") as hold: print(hold.value)
        with pylock.lock("other", "shared", capacity=2): pass
    """)
    full = "OSError 28"
    assert said == ["1", full, full, full, "done", "None 3", "done 3", "2", "1"]


@needs_root
def test_command_that_frees_the_disk_runs() -> None:
    said = in_namespace("""
        mount("size=8k")
        fill()
        words = [sys.executable, "-m", "pylock", "run", "cleanup", "--", "rm", place + "/fill"]
        print(subprocess.run(words).returncode, os.listdir(place))
        print(subprocess.run([*words[:5], "--", "true"]).returncode)
    """)
    assert said == ["0 ['cleanup.lock']", "0"]


@pytest.mark.parametrize("mode", ["exclusive", "shared", "concurrent_read"])
def test_limit_of_file_sizes_keeps_nobody_out(mode: str) -> None:
    """Python ignores SIGXFSZ, so that a write beyond it is EFBIG."""
    program = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        for _ in range(2):
            with pylock.lock("x", {mode!r}) as hold: hold.check()
        hold = pylock.lock("x", {mode!r}).acquire()
        print(told(lambda: pylock.lock("x").acquire(0.02)))
        print(told(lambda: pylock.define("x", capacity=3)))
        print(os.stat(place + "/x.lock").st_size)
    """
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(program)], env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n") == ["LockTimeout None", "OSError 27", "0", ""], done.stderr


def test_command_under_a_limit_of_file_sizes_runs() -> None:
    script = f"ulimit -f 0; exec {shlex.join(PYLOCK)} run x -- sh -c 'echo ran; exit 3'"
    done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "ran\n"), done.stderr
    assert command("run", "-t", "0", "x", "--", "true").returncode == 0


@pytest.fixture(params=["never used", "used before"])
def unwritten(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A command that holds "x" and could not write so: there is no header, or the record is that of one before."""
    if request.param == "used before":
        assert command("run", "x", "--", "true").returncode == 0
    running = Unwritten("run", "x", "--", "sh", "-c", "echo ready; read go", stdin=-1)
    assert running.line() == "ready"
    yield running
    running.close()


class Unwritten(Running):
    """A pylock command that may write nothing to a file."""

    def __init__(self, *words: str, **options: Any) -> None:
        super().__init__(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)), **options)


def test_holder_that_could_not_write_is_seen(unwritten: Running) -> None:
    assert len(pylock.inspect("x").holders) == 1
    assert [state.name for state in pylock.status() if state.holders] == ["x"]
    assert command("status", "-q", "x").returncode == 1
    assert command("set", "x", "--drain", "--timeout", "0.05").returncode == 75
    done = command("set", "x", "--kind", "sequence")
    assert (done.returncode, "is a lock, which cannot become a sequence" in done.stderr) == (125, True)
    waiting_line = Running("run", "-t", "1.5", "x", "--", "true").end()[2]
    assert "None" not in waiting_line


def test_holder_that_could_not_write_is_found_by_its_descriptor(unwritten: Running) -> None:
    done = command("kill", "--grace", "5", "x")
    assert (done.returncode, "SIGTERM sent" in done.stdout) == (0, True), done.stdout
    assert pylock.inspect("x").holders == ()


@pytest.mark.parametrize("used", [False, True])
def test_who_runs_under_a_lock_knows_it_though_nothing_could_be_written(used: bool) -> None:
    if used:
        assert command("run", "x", "--", "true").returncode == 0
    script = f"{shlex.join(PYLOCK)} held x; echo $?; {shlex.join(PYLOCK)} run -t 20 x -- true; echo $?"
    status, output, errors = Unwritten("run", "x", "--", "sh", "-c", script).end()
    assert (status, output.split()) == (0, ["0", "125"]), errors
    assert "would wait for ever" in errors


def test_script_that_lends_a_descriptor_knows_it_though_nothing_could_be_written() -> None:
    words = shlex.join(PYLOCK)
    script = f'exec 9<>"$({words} path x)"; ulimit -f 0; {words} take --fd 9 x; {words} held x; echo $?'
    done = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout == "0\n", done.stderr
