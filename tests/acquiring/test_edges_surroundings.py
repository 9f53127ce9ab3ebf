"""Odd surroundings: greenlets, subinterpreters, kernels without the locks, full tables, ends, clocks that stand."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from command import environment
from contender import Contender
from kernel import replaced, within

import pylock
from pylock._file import directories
from pylock._process import start_time
from pylock._queue.bells import Bell
from pylock._queue.drivers import is_readable
from pylock._queue.sources import Sources

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="mounts something over a directory, in a namespace of its own",
)


def skip_without(package: str) -> None:
    """Skip where it is not installed; it is for children, and would change this process if it were loaded here."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def python(program: str, *words: str, **variables: str) -> str:
    """Run the program to its end, and return what it printed; a traceback is a failure."""
    done = subprocess.run(
        [*words, sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], env=environment(**variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# Greenlets and subinterpreters


@pytest.mark.parametrize("options", ["", "new_group=True", "wait_for='tree'"])
def test_run_works_under_gevent_and_lets_greenlets_run(options: str) -> None:
    skip_without("gevent")
    program = f"""
        import gevent.monkey; gevent.monkey.patch_all()
        import gevent, pylock
        seen = []
        gevent.spawn(lambda: [seen.append(gevent.sleep(0.005)) for _ in range(1000)])
        outcome = pylock.run(["sh", "-c", "sleep 0.1; exit 3"], "x", {options})
        print(outcome.exit_code, len(seen) > 3, pylock.inspect("x").holders)
    """
    assert python(program) == "3 True ()\n"


def test_command_that_gevent_starts_keeps_the_lock_if_the_program_is_killed() -> None:
    skip_without("gevent")
    program = """
        import gevent.monkey; gevent.monkey.patch_all()
        import os, pylock
        pylock.run(["sh", "-c", "kill -9 $PPID; echo $$; exec sleep 60 >/dev/null"], "x")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment(), stdout=subprocess.PIPE, check=False
    )
    command = int(done.stdout)
    try:
        assert pylock.lock("x").locked()
    finally:
        os.kill(command, 9)


@pytest.mark.parametrize("patch", ["gevent.monkey; gevent.monkey.patch_all()", "eventlet; eventlet.monkey_patch()"])
def test_program_may_be_patched_after_pylock_was_imported(patch: str, contenders: type[Contender]) -> None:
    """As by gunicorn, if it loads the application before its workers."""
    skip_without(patch.partition(".")[0].partition(";")[0])
    contenders().acquire("x")
    program = f"""
        import pylock
        import {patch}
        try:
            pylock.lock("x").acquire(0.05)
        except pylock.LockTimeout:
            print("in time")
    """
    assert python(program) == "in time\n"


def test_wait_goes_on_without_poll_which_eventlet_takes_away() -> None:
    skip_without("eventlet")
    program = """
        import warnings; warnings.simplefilter("ignore")
        import eventlet; eventlet.monkey_patch()
        import select, pylock
        assert not hasattr(select, "poll")
        order = []
        def wait():
            with pylock.lock("x"):
                order.append("had")
        hold = pylock.lock("x").acquire()
        waiter = eventlet.spawn(wait)
        while not pylock.inspect("x").waiters:
            eventlet.sleep(0.001)
        order.append("released")
        hold.release()
        waiter.wait()
        print(*order)
    """
    assert python(program) == "released had\n"


def test_subinterpreter_takes_locks_and_runs_commands() -> None:
    program = """
        import os
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # which cannot be loaded twice in one process
        import _xxsubinterpreters as interpreters
        interpreters.run_string(interpreters.create(isolated={isolated}), '''
        import pylock
        with pylock.lock("y"):
            try:
                print(pylock.run(["sh", "-c", "exit 3"], "x").exit_code, end=" ")
            except RuntimeError as error:
                print(error, end=" ")
        print(pylock.inspect("x").holders, flush=True)
        ''')
    """
    if sys.version_info >= (3, 12):
        pytest.skip("subinterpreters are made otherwise there")
    program = textwrap.dedent(program)
    assert python(program.format(isolated=False)) == "3 ()\n"
    assert python(program.format(isolated=True)) == "subprocess not supported for isolated subinterpreters ()\n"


# Kernels and tables

NO_OFD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#define DENY(name) int name(int fd, int what, ...) { \\
    static int (*real)(int, int, void *); va_list list; va_start(list, what); void *given = va_arg(list, void *); \\
    va_end(list); if (what >= 36 && what <= 38) { errno = CODE; return -1; } \\
    if (!real) real = dlsym(RTLD_NEXT, #name); return real(fd, what, given); }
DENY(fcntl)
DENY(fcntl64)
"""


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
@pytest.mark.parametrize(
    "call",
    [
        'pylock.lock("x").acquire()', 'pylock.lock("x", "shared").acquire(1)', 'pylock.lock("x").acquire_nowait()',
        'pylock.all_of(pylock.lock("x"), pylock.lock("y")).acquire()', 'pylock.pool("x", ["a"]).acquire()',
        'pylock.sequence("x").acquire()', 'pylock.run(["true"], "x")',
    ],
)  # fmt: skip
def test_kernel_without_these_locks_is_unsupported(code: int, call: str, tmp_path: Path) -> None:
    compiler = shutil.which(sysconfig.get_config_var("CC").split()[0]) or shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler makes what denies the locks")
    library = tmp_path / "deny.so"
    source = NO_OFD.replace("CODE", str(code))
    words = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(words, input=source, text=True, check=True)
    program = f"""
        import pylock
        try:
            {call}
        except pylock.Unsupported as error:
            print(error.errno, "has no open file description locks" in str(error))
    """
    assert python(program, LD_PRELOAD=str(library)) == f"{code} True\n"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_wait_goes_on_without_a_descriptor_for_the_bell(code: int, directory: Path) -> None:
    real = os.open
    hold = pylock.lock("x").acquire()

    def full(path: str, *arguments: Any) -> int:
        if path.endswith(".lock.1") or path.rpartition(".")[2].isdigit():
            raise OSError(code, os.strerror(code), path)
        return real(path, *arguments)

    with replaced(os, "open", full):
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("x").acquire(0.05)
        hold.release()
        pylock.lock("x").acquire(5).release()
    assert os.listdir(directory) == ["x.lock"]


def test_table_of_descriptors_that_is_really_full_is_told_and_then_forgotten() -> None:
    program = """
        import os, resource, pylock
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        hold = pylock.lock("x").acquire()
        waiting = pylock.lock("x")
        full = []
        try:
            while True:
                full.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            pylock.lock("y").acquire()
        except OSError as error:
            print(error.errno)
        os.close(full.pop())
        try:
            waiting.acquire(0.1)
        except pylock.LockTimeout:
            print("waited")
        hold.release()
        waiting.acquire(0.1).release()
        print("had")
    """
    assert python(program) == f"{errno.EMFILE}\nwaited\nhad\n"


# The end of the interpreter, and calls from C

AT_THE_END = """
import sys, pylock
hold = pylock.lock("busy").acquire()
class Late:
    def __del__(self):
        try:
            print({call})
        except pylock.LockError as error:
            print(type(error).__name__, "shutting down" in str(error))
        except BaseException as error:
            print(repr(error))
def had(lock):
    with lock:
        return "had"
sys.modules["late"] = Late()
"""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('had(pylock.lock("x"))', "had"),
        ('had(pylock.lock("x", "shared", capacity=2))', "had"),
        ('pylock.lock("busy").acquire_nowait()', "WouldBlock True"),
        ('pylock.lock("busy").acquire(0.02)', "LockTimeout True"),
    ],
)
def test_first_use_as_the_last_objects_are_collected(call: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # which holds on to what would be collected
    assert python(AT_THE_END.format(call=call)) == f"{said}\n"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import atexit, pylock; atexit.register(lambda: print(pylock.lock('x').acquire().name))", "x"),
        (
            "import atexit, pylock; lock = pylock.lock('x'); atexit.register(lambda: print(lock.held));"
            " atexit.register(lock.__enter__)",
            "True",
        ),
        (
            "import _thread, time, pylock; lock = pylock.lock('x'); _thread.start_new_thread(lock.__enter__, ())\n"
            "while not lock.held: time.sleep(0.001)\nprint('held')",
            "held",
        ),
        (
            "import atexit, pylock; hold = pylock.lock('x').acquire()\n"
            "def late():\n  try: pylock.lock('x').acquire(0.02)\n  except pylock.LockTimeout: print('in time')\n"
            "atexit.register(late)",
            "in time",
        ),
    ],
    ids=["atexit", "enter from atexit", "enter as a thread", "first wait from atexit"],
)
def test_first_use_from_where_there_is_no_python_below(program: str, said: str) -> None:
    assert python(program) == f"{said}\n"


# A clock that stands


FROZEN = """
import os, subprocess, sys, pylock, freezegun
{cure}
other = subprocess.Popen(
    [sys.executable, "-c", "import pylock, sys; h = pylock.lock('x').acquire(); print(flush=True); sys.stdin.read()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
begun = os.times().elapsed  # which freezegun leaves alone
with freezegun.freeze_time("2012-01-14"):
    try:
        pylock.lock("x").acquire(0.05)
    except pylock.LockTimeout:
        print("in time", os.times().elapsed - begun < 5)
    with pylock.lock("y") as hold:
        print(hold.token > 1_700_000_000_000_000)
    for _ in range(40):
        with pylock.lock("z"):
            pass
other.communicate(b"")
"""


def test_freezegun_does_not_touch_pylock_with_one_line() -> None:
    """The reference has the line."""
    pytest.importorskip("freezegun")
    cure = 'freezegun.configure(extend_ignore_list=["pylock"])'
    assert python(FROZEN.format(cure=cure)) == "in time True\nTrue\n"
    assert cure in (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text()


# A directory that changes


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & ~stat.S_ISVTX


def take(name: str) -> Path:
    with pylock.lock(name):
        return Path(pylock.inspect(name).path)


@pytest.mark.parametrize(("mode", "files"), [(0o2770, 0o660), (0o1777, 0o666), (0o700, 0o600)])
def test_new_lock_file_follows_a_directory_that_was_made_anew(mode: int, files: int, directory: Path) -> None:
    take("x")
    shutil.rmtree(directory)
    with pytest.raises(FileNotFoundError, match="lock directory does not exist"):
        take("x")
    directory.mkdir()
    directory.chmod(mode)
    assert mode_of(take("x")) == files
    assert mode_of(take("y")) == files


def test_new_lock_file_follows_the_mode_of_its_directory(directory: Path) -> None:
    assert mode_of(take("x")) == 0o600
    directory.chmod(0o2770)
    assert mode_of(take("y")) == 0o660
    assert mode_of(take("x")) == 0o600  # which is for who changed the directory's to change


def test_own_directory_that_was_removed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYLOCK_DIR")
    monkeypatch.setattr(directories, "_own_path", lambda: str(tmp_path / ".local/state/pylock"))
    own = take("x").parent
    shutil.rmtree(own)
    assert take("x").exists()
    assert mode_of(own) == 0o700


def test_directory_in_use_is_looked_at_once_a_second_and_no_more(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take("x")
    looks = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: (looks.append(path), real(path, **options))[1])
    for _ in range(100):
        with pylock.lock("x"):
            pass
    assert looks == []
    monkeypatch.setattr(directories, "LASTS", 0.0)
    pylock.lock("x").request.directory.seen_until = 0.0
    time.sleep(0.02)  # until no descriptor is kept any more
    take("x")
    assert looks


@needs_root
def test_mount_over_a_directory_is_noticed(directory: Path) -> None:
    program = """
        import os, subprocess, sys, time, pylock
        path = os.environ["PYLOCK_DIR"]
        lock = pylock.lock("x")
        with lock: pass
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=2770", "tmpfs", path], check=True)
        begun = time.monotonic()
        while lock.request.directory.file_mode == 0o600:
            with lock: pass
            assert time.monotonic() - begun < 3
        print(time.monotonic() - begun < 1.5)
        with pylock.lock("y"): pass
        print(oct(os.stat(path + "/y.lock").st_mode & 0o777))
    """
    assert python(program, "unshare", "-m") == "True\n0o660\n"


def test_mount_that_hides_locks_is_refused_when_it_appears(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take("x")
    monkeypatch.setattr(directories, "_is_of_this_host", lambda device: False)
    hides = directories.Mount(str(directory), "nfs4", "server:/", frozenset(["local_lock=all"]))
    monkeypatch.setattr(directories, "mount_of", lambda path: hides)
    directory.chmod(0o750)
    with pytest.raises(pylock.Unsupported, match="with locks kept on this host"):
        take("y")


# A program that closes all descriptors


@pytest.mark.parametrize("held", [False, True], ids=["idle", "held"])
def test_descriptor_of_a_strange_file_is_not_closed_nor_written_to(held: bool, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    program = f"""
        import os, pylock
        lock = pylock.lock("x")
        for _ in range(40):
            with lock: pass
        if {held}: hold = lock.acquire()
        os.closerange(3, 64)
        files = [open({str(strange)!r}, "w+") for _ in range(12)]
        for file in files: file.write("mine"); file.flush()
        if {held}:
            hold.release()
        with lock: pass
        pylock.inspect("x")
        print([file.fileno() for file in files if not os.path.exists(f"/proc/self/fd/{{file.fileno()}}")])
    """
    assert python(program) == "[]\n"
    assert strange.read_text() == "mine"


def test_number_that_pylock_has_again_for_another_lock_is_not_taken_for_the_first_one() -> None:
    program = """
        import os, pylock
        lock = pylock.lock("x")
        for _ in range(40):
            with lock: pass
        kept = {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}
        os.closerange(3, 64)
        holds = {(hold := pylock.lock(f"y{number}").acquire()).fileno(): hold for number in range(len(kept))}
        with lock as hold:
            print(hold.fileno() in holds, len(kept & set(holds)) > 0)
        pylock.lock("x", "shared").acquire_nowait()
        for hold in holds.values(): hold.check()
        print([pylock.lock(f"y{number}").locked() for number in range(len(holds))])
    """
    first, second = python(program).splitlines()
    assert first == "False True"
    assert set(second) <= set("[True, ]")


@pytest.mark.parametrize("end", ["release()", "convert('shared')", "__exit__(None, None, None)", "check()"])
def test_hold_whose_descriptor_the_program_closed_touches_no_other_lock(end: str) -> None:
    """Its number would be that of the next lock file that is opened."""
    program = f"""
        import os, pylock
        first = pylock.lock("x").acquire()
        first.__enter__()
        os.close(first.fileno())
        second = pylock.lock("y").acquire()
        for use in (lambda: first.{end}, first.release):
            try:
                use()
            except (OSError, pylock.LockError):
                pass
        second.check()
        try:
            pylock.lock("y", "shared").acquire_nowait()
        except pylock.WouldBlock:
            print("held")
    """
    assert python(program) == "held\n"


WAITS = """
import os, threading, pylock
pid = os.fork()
if not pid:
    hold = pylock.lock("x").acquire()
    os.read(0, 1)
    os._exit(0)
while not pylock.inspect("x").holders: pass
def wait():
    pylock.lock("x").acquire()
    os._exit(3)
threading.Thread(target=wait, daemon=True).start()
def ends():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if "[pidfd]" in os.readlink(f"/proc/self/fd/{name}"): found.append(int(name))
        except FileNotFoundError:
            pass
    return found
while not ends(): pass
"""


def test_child_has_nothing_of_what_its_parent_listens_to() -> None:
    program = WAITS + "if not os.fork():\n print(len(ends()), flush=True)\n os._exit(0)\nos.wait()\nos.kill(pid, 9)"
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment(), stdin=read, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    os.close(read)
    os.close(write)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_end_that_the_program_has_closed_is_told_no_more(directory: Path) -> None:
    """A child may have it, and then it stays in the epoll, whose descriptor would be ready for ever."""
    with subprocess.Popen(["sleep", "60"]) as process:
        bell = Bell(str(directory / "x.lock"), 0)
        bell.hang(0o600)
        sources = Sources((bell,))
        try:
            assert sources.watch([(process.pid, start_time(process.pid) or 0)], [])
            (end,) = sources._ends.values()
            copy = os.dup(end)
            os.close(end)
            process.kill()
            assert is_readable(sources.watched, 10)
            with within(10):
                while is_readable(sources.watched, 0):
                    sources.take()
            os.close(copy)
        finally:
            sources.close()
            bell.take_down()
