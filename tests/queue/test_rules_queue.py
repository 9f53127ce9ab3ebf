"""Who waits, and for what: the rules of the queue that only a rare moment shows."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contender import Contender, until, waiting
from kernel import (
    GATE,
    PENDING,
    SEATS,
    UNITS,
    failing_once,
    is_locked,
    lock_bytes,
    read_flock,
    replaced,
    strange_program,
    within,
)

import pylock
from pylock._acquiring import waiting as waiting_room
from pylock._acquiring.waiting import _Wait

LANE = {"exclusive": 0, "protected_write": 0, "shared": 1, "concurrent_read": 1}


def granted(contender: Contender) -> None:
    assert isinstance(contender.answer(), int)


def insisting(contender: Contender, mode: str, directory: Path) -> None:
    """Let it begin to wait for "x"; return once it has lost its patience with newcomers."""
    contender.start_acquiring("x", mode)
    until(lambda: is_locked(directory / "x.lock", PENDING + LANE[mode]))


# Locks of others


@pytest.mark.parametrize("start", [GATE, UNITS, SEATS, PENDING])
def test_lock_that_a_strange_program_has_up_to_the_end_of_the_file_is_understood(start: int, directory: Path) -> None:
    with pylock.lock("x"):
        pass
    with strange_program(directory / "x.lock") as fd, within(5):
        lock_bytes(fd, start, 0)
        pylock.inspect("x")
        assert [lock.name for lock in pylock.status()] == ["x"]
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()


# Units


def test_who_gathers_units_and_loses_one_to_another_keeps_none(directory: Path, executor: ThreadPoolExecutor) -> None:
    pylock.define("x", capacity=3)
    real = fcntl.fcntl
    with strange_program(directory / "x.lock") as other:
        lock_bytes(other, UNITS + 1, 1)
        gathers = False

        def too_late(fd: int, command: int, argument: Any = 0) -> Any:
            nonlocal gathers
            wanted = read_flock(argument) if command == fcntl.F_OFD_SETLK else None
            gathers = gathers or wanted == (fcntl.F_WRLCK, GATE, 1)
            if gathers and wanted == (fcntl.F_WRLCK, UNITS + 2, 1):
                lock_bytes(other, UNITS + 2, 1)
            return real(fd, command, argument)

        with replaced(fcntl, "fcntl", too_late):
            waiter = executor.submit(pylock.lock("x", "shared", weight=2).acquire, 5)
            until(lambda: is_locked(directory / "x.lock", PENDING + 1))
        assert gathers
        assert not is_locked(directory / "x.lock", UNITS), "it sits on one unit while it waits for the other"
    waiter.result(10).release()


# Insisting


@pytest.mark.parametrize("newcomer", ["exclusive", "protected_write", "shared", "concurrent_read", "concurrent_write"])
@pytest.mark.parametrize("insists", ["exclusive", "shared"])
def test_newcomer_does_not_pass_who_insists_although_the_lock_is_free(
    insists: str, newcomer: str, contenders: type[Contender], directory: Path
) -> None:
    first = contenders()
    with pylock.lock("x"):
        insisting(first, insists, directory)
        first.stop()
    with pytest.raises(pylock.WouldBlock, match=f"promised to pid {first.pid}"):
        pylock.lock("x", newcomer).acquire_nowait()
    first.go_on()
    granted(first)


def test_sharing_newcomer_joins_holders_although_an_exclusive_waiter_insists(
    contenders: type[Contender], directory: Path
) -> None:
    holder, first = contenders(), contenders()
    holder.acquire("x", "shared")
    insisting(first, "exclusive", directory)
    pylock.lock("x", "shared").acquire_nowait().release()
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "protected_write").acquire_nowait()
    holder.release()
    granted(first)


@pytest.mark.parametrize("mode", ["shared", "concurrent_read"])
def test_insisting_ends_with_the_wait_and_not_with_the_hold(
    mode: str, contenders: type[Contender], directory: Path
) -> None:
    waiter = contenders()
    with pylock.lock("x"):
        insisting(waiter, mode, directory)
    granted(waiter)
    pylock.lock("x", "shared").acquire_nowait().release()
    assert not is_locked(directory / "x.lock", PENDING + 1)


def test_insisting_ends_with_a_wait_in_vain(directory: Path) -> None:
    hold = pylock.lock("x").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.lock("x", "shared").acquire(0.01)
    assert not is_locked(directory / "x.lock", PENDING + 1)
    hold.release()


# Waiters that do not go on


@pytest.mark.parametrize("leaves", ["released", "killed"])
def test_stopped_first_waiter_keeps_no_free_unit_of_a_shared_lock_from_the_next(
    leaves: str, contenders: type[Contender]
) -> None:
    """Another holder stays, so that it is never free altogether."""
    holder, stopped, behind = contenders(), contenders(), contenders()
    with pylock.lock("x", "shared", capacity=2):
        holder.acquire("x", "shared")
        stopped.start_acquiring("x", "shared")
        behind.start_acquiring("x", "shared")
        stopped.stop()
        holder.release() if leaves == "released" else holder.kill()
        granted(behind)
        behind.release()
        stopped.go_on()
        granted(stopped)


@pytest.mark.parametrize("mode", ["shared", "concurrent_read"])
def test_stopped_first_waiter_keeps_no_lock_from_one_who_might_share_it(mode: str, contenders: type[Contender]) -> None:
    holder, stopped, behind = contenders(), contenders(), contenders()
    with pylock.lock("x", "concurrent_read"):
        holder.acquire("x", "protected_write")
        stopped.start_acquiring("x", "protected_write", policy="fair")
        behind.start_acquiring("x", mode, policy="fair")
        stopped.stop()
        holder.release()
        granted(behind)
        behind.release()
        stopped.go_on()
        granted(stopped)


# Bells


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EOPNOTSUPP"])
def test_who_may_lock_but_make_no_bell_waits_all_the_same(error: str, executor: ThreadPoolExecutor) -> None:
    def refuse(path: str, mode: int) -> None:
        raise OSError(getattr(errno, error), "no FIFO here", path)

    with replaced(os, "mkfifo", refuse):
        hold = pylock.lock("x").acquire()
        waiter = executor.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        hold.release()
        waiter.result(10).release()


@pytest.mark.parametrize("error", ["EACCES", "EPERM"])
def test_who_may_not_give_a_bell_the_mode_of_its_directory_waits_all_the_same(
    error: str, directory: Path, executor: ThreadPoolExecutor
) -> None:
    directory.chmod(0o1777)
    with pylock.lock("x"):
        pass
    refuse = failing_once(os.chmod, getattr(errno, error), lambda path, mode: True)
    with replaced(os, "chmod", refuse):
        hold = pylock.lock("x").acquire()
        waiter = executor.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        hold.release()
        waiter.result(10).release()
    assert os.listdir(directory) == ["x.lock"]


# Safety looks


def test_holder_that_is_killed_is_noticed_soon(contenders: type[Contender], directory: Path) -> None:
    """Of some tries the fastest, since a busy machine makes them slow and nothing makes them fast."""
    waits = []
    for _ in range(3):
        holder, waiter = contenders(), contenders()
        holder.acquire("x")
        insisting(waiter, "exclusive", directory)  # from now on it sleeps as long as it ever does
        begun = time.monotonic()
        holder.kill()
        granted(waiter)
        waits.append(time.monotonic() - begun)
        waiter.end()
        if waits[-1] < 0.5:
            break
    assert min(waits) < 0.5


def test_stopped_first_waiter_is_passed_soon(contenders: type[Contender]) -> None:
    waits = []
    for _ in range(3):
        holder, stopped, behind = contenders(), contenders(), contenders()
        holder.acquire("x")
        stopped.start_acquiring("x")
        behind.start_acquiring("x")
        stopped.stop()
        begun = time.monotonic()
        holder.release()
        granted(behind)
        waits.append(time.monotonic() - begun)
        os.kill(stopped.pid, signal.SIGKILL)
        behind.end()
        if waits[-1] < 1.5:
            break
    assert min(waits) < 1.5


def test_holder_that_dies_before_it_is_listened_to_is_noticed_all_the_same(
    contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of an end before the first listening; so who begins to listen looks once more."""
    holder, find_holders = contenders(), _Wait._holders
    assert holder.acquire("x")

    def too_late(self: _Wait) -> list[Any]:
        holder.kill()
        return find_holders(self)

    monkeypatch.setattr(_Wait, "_holders", too_late)
    monkeypatch.setattr(waiting_room, "WATCHED", 60.0)
    hold = pylock.lock("x", timeout=20).acquire()  # when time is up it looks for a last time
    hold.release()
    assert hold.waited < 10
