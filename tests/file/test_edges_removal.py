"""Removal of lock files: who asks waits for a slow remover, no longer than it said, and is told what is damaged."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import environment
from command import pylock as command
from contender import until
from kernel import replaced

import pylock
from pylock._acquiring import steps
from pylock._file import removal
from pylock._file.directories import resolve
from pylock._file.header import REMOVED
from pylock._file.lockfile import leave_gate, take_gate

Kind = Callable[..., "pylock.Lock"]
KINDS: dict[str, Callable[..., object]] = {
    "exclusive": lambda **options: pylock.lock("x", **options),
    "shared": lambda **options: pylock.lock("x", "shared", **options),
    "counted": lambda **options: pylock.lock("x", "shared", capacity=3, **options),
    "null": lambda **options: pylock.lock("x", "null", **options),
    "pool": lambda **options: pylock.pool("x", ["a", "b"], **options),
    "all_of": lambda **options: pylock.all_of(pylock.lock("x"), pylock.lock("y"), **options),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def leave_file(kind: str, directory: Path) -> Path:
    KINDS[kind]().acquire().release()  # type: ignore[attr-defined]
    return directory / "x.lock"


def clean() -> None:
    list(removal.clean(resolve(None)))


@contextmanager
def slow_remover(before: str = "unlink") -> Iterator[threading.Event]:
    """Somebody who is at removing x.lock, before the mark or the removal itself, until the event is set."""
    at_it, go_on, real = threading.Event(), threading.Event(), getattr(os, before)

    def slow(*arguments: object) -> object:
        if before == "unlink" or REMOVED in arguments:
            at_it.set()
            assert go_on.wait(30)
        return real(*arguments)

    with replaced(os, before, slow):
        remover = threading.Thread(target=clean)
        remover.start()
        assert at_it.wait(30)
        try:
            yield go_on
        finally:
            go_on.set()
            remover.join()


# A slow remover


@pytest.mark.parametrize("before", ["pwrite", "unlink"])
@every_kind
def test_who_waits_for_a_slow_remover_gets_the_lock(kind: str, before: str, directory: Path) -> None:
    leave_file(kind, directory)
    with slow_remover(before) as go_on:
        threading.Timer(0.05, go_on.set).start()
        hold = KINDS[kind]().acquire()  # type: ignore[attr-defined]
    assert (directory / "x.lock").exists()
    hold.check()
    hold.release()


@every_kind
def test_slow_remover_is_waited_for_no_longer_than_was_said(kind: str, directory: Path) -> None:
    leave_file(kind, directory)
    with slow_remover():
        begun = time.monotonic()
        with pytest.raises(pylock.LockTimeout, match="while its file is being removed"):
            KINDS[kind]().acquire(0.05)  # type: ignore[attr-defined]
        assert 0.05 <= time.monotonic() - begun < 2


def test_slow_remover_is_waited_for_by_a_plain_try_for_a_moment(directory: Path) -> None:
    leave_file("exclusive", directory)
    with slow_remover() as go_on:
        threading.Timer(0.02, go_on.set).start()
        pylock.lock("x").acquire_nowait().release()
    with slow_remover(), pytest.raises(pylock.WouldBlock):
        pylock.lock("x").acquire_nowait()


def test_task_that_waits_for_a_slow_remover_can_be_cancelled_and_lets_others_run(directory: Path) -> None:
    leave_file("exclusive", directory)

    async def wait() -> int:
        ticks = 0
        waiter = asyncio.create_task(pylock.lock("x").acquire_async())
        for _ in range(5):
            await asyncio.sleep(0.005)
            ticks += 1
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        return ticks

    with slow_remover():
        assert asyncio.run(wait()) == 5


def test_command_waits_for_a_slow_remover(directory: Path) -> None:
    leave_file("exclusive", directory)
    with slow_remover() as go_on:
        threading.Timer(0.3, go_on.set).start()
        assert command("run", "-t", "30", "x", "--", "echo", "ran").stdout == "ran\n"


# A plain try beside one who cleans up


def test_try_whose_remover_is_done_by_the_time_it_looks_has_the_lock(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_file("exclusive", directory)
    real = steps.is_being_removed
    with slow_remover("pwrite") as go_on:

        def look(fd: int) -> bool:
            go_on.set()
            until(lambda: not (directory / "x.lock").exists())
            return real(fd)

        monkeypatch.setattr(steps, "is_being_removed", look)
        pylock.lock("x").acquire_nowait().release()


def test_try_whose_remover_has_left_the_file_by_the_time_it_looks_has_the_lock(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remover that had locked all of it found it in use by then."""
    path = leave_file("exclusive", directory)
    fd = os.open(path, os.O_RDWR)
    assert removal.try_lock(fd, removal.EVERYTHING)
    real = steps.is_being_removed

    def look(mine: int) -> bool:
        nonlocal fd
        if fd >= 0:
            os.close(fd)
            fd = -1
        return real(mine)

    monkeypatch.setattr(steps, "is_being_removed", look)
    pylock.lock("x").acquire_nowait().release()


def test_closed_lock_is_refused_at_once() -> None:
    """Nobody is in the way of it, and yet there is nothing to try again for."""
    pylock.define("x", capacity=0)
    begun = time.monotonic()
    with pytest.raises(pylock.WouldBlock, match="closed"):
        pylock.lock("x").acquire_nowait()
    assert time.monotonic() - begun < 0.09


CLEANER = """
from pylock._file.removal import clean
from pylock._file.directories import resolve
print("on", flush=True)
while True:
    list(clean(resolve(None)))
"""


def test_cleaner_in_a_loop_makes_no_try_fail() -> None:
    with subprocess.Popen([sys.executable, "-c", CLEANER], env=environment(), stdout=subprocess.PIPE) as cleaner:
        assert cleaner.stdout is not None
        cleaner.stdout.readline()
        try:
            end = time.monotonic() + 0.7
            while time.monotonic() < end:
                pylock.lock("x").acquire_nowait().release()
        finally:
            cleaner.kill()


# A mark of removal in a file that nobody removes


def mark_as_removed(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(REMOVED)


@contextmanager
def held_and_marked(directory: Path) -> Iterator[None]:
    hold = pylock.lock("x").acquire()  # by no block, which would be inside of it
    mark_as_removed(directory / "x.lock")
    yield
    hold.release()


@every_kind
def test_marked_file_that_somebody_holds_ends_a_wait_in_time(kind: str, directory: Path) -> None:
    with held_and_marked(directory):
        begun = time.monotonic()
        with pytest.raises(pylock.LockTimeout):
            KINDS[kind]().acquire(0.1)  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 2


def test_marked_file_that_somebody_holds_lets_a_task_be_cancelled(directory: Path) -> None:
    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pylock.lock("x").acquire_async()

    with held_and_marked(directory):
        asyncio.run(wait())


@pytest.mark.parametrize("kind", ["exclusive", "shared", "null", "all_of"])
def test_marked_file_that_somebody_holds_is_damage(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LONG", 0.1)
    damaged = pytest.raises(pylock.BadLockFile, match="says that it is removed, and it is there")
    with held_and_marked(directory), damaged:
        KINDS[kind]().acquire(20)  # type: ignore[attr-defined]


def test_wait_for_a_marked_file_takes_little_time_of_the_processor(directory: Path) -> None:
    with held_and_marked(directory):
        begun = time.process_time()
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("x").acquire(0.5)
        assert time.process_time() - begun < 0.3


def test_conversion_of_a_hold_in_a_marked_file_says_that_it_is_lost(directory: Path) -> None:
    mine, other = (pylock.lock("x", "shared").acquire() for _ in "ab")
    mark_as_removed(directory / "x.lock")
    with pytest.raises(pylock.LockLost):
        mine.convert("exclusive", timeout=0.1)
    assert mine.mode == "shared"
    other.release()
    mine.release()


# Looking while somebody defines


def test_look_at_a_header_that_is_half_written_waits_for_the_rest(directory: Path) -> None:
    """A read may see a write in part: pread(2) and pwrite(2) exclude each other on some file systems only."""
    pylock.define("x", capacity=5)
    path = directory / "x.lock"
    whole = path.read_bytes()
    fd = os.open(path, os.O_RDWR)
    try:
        assert take_gate(fd)
        os.pwrite(fd, whole[:30].replace(b'"', b"!"), 0)

        def finish() -> None:
            os.pwrite(fd, whole[:30], 0)
            leave_gate(fd)

        threading.Timer(0.03, finish).start()
        assert pylock.inspect("x").definition.capacity == 5
        assert take_gate(fd)
        os.pwrite(fd, whole[:30].replace(b'"', b"!"), 0)
        threading.Timer(0.03, finish).start()
        assert [lock.name for lock in pylock.status()] == ["x"]
    finally:
        until(lambda: take_gate(fd, 1))
        os.close(fd)


def test_damaged_header_is_told_although_somebody_stands_in_the_gate(directory: Path) -> None:
    pylock.define("x", capacity=5)
    (directory / "x.lock").write_bytes(b"{}".ljust(600) + b"\n")
    fd = os.open(directory / "x.lock", os.O_RDWR)
    try:
        assert take_gate(fd)
        with pytest.raises(pylock.BadLockFile):
            pylock.inspect("x")
        assert pylock.status() == ()
    finally:
        os.close(fd)


# A handler that raises


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("name", ["unlink", "pwrite", "lstat", "fstat"])
def test_exception_in_the_middle_of_a_removal_leaves_no_descriptor(name: str, directory: Path) -> None:
    """As a signal handler raises it, at each system call of the removal."""

    def interrupted(*arguments: object) -> None:
        raise Interrupted

    path = leave_file("exclusive", directory)
    for remove in (
        clean,
        lambda: removal.remove_if_idle(str(path)),
        lambda: pylock.lock("x", idle_lifespan=0).acquire().release(),
    ):
        before = os.listdir("/proc/self/fd")
        try:
            with replaced(os, name, interrupted):
                remove()
        except Interrupted:
            pass
        assert os.listdir("/proc/self/fd") == before
        pylock.lock("x").acquire_nowait().release()
