"""A with block ends the hold that it began with, and no other one; and what was undone leaves no trace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contender import waiting

import pylock
from pylock._deadlock import blocks
from pylock._deadlock import cycles as deadlocks
from pylock._kinds import state


def both(name: str) -> list[Any]:
    """A lock and several locks, each to be shared by threads."""
    return [pylock.lock(name, "shared"), pylock.all_of(pylock.lock(name, "shared"), pylock.lock("more", "shared"))]


@pytest.mark.parametrize("which", [0, 1], ids=["lock", "all_of"])
@pytest.mark.parametrize("released_by", ["hold", "lock"])
def test_block_whose_hold_was_released_does_not_end_the_hold_of_another_thread(which: int, released_by: str) -> None:
    shared = both("x")[which]
    inside, ended = threading.Event(), threading.Event()

    def other() -> None:
        with shared:
            inside.set()
            assert ended.wait(10)
            with pytest.raises(pylock.WouldBlock):
                pylock.lock("x").acquire_nowait()

    with ThreadPoolExecutor() as pool:
        if released_by == "hold":
            running = pool.submit(other)
            assert inside.wait(10)
            with pytest.raises(pylock.NotHeld), shared as hold:
                hold.release()
        else:  # release() is of the latest, so that this thread's must be
            first = pool.submit(other)
            assert inside.wait(10)
            running = first
            with pytest.raises(pylock.NotHeld), shared:
                shared.release()
        ended.set()
        running.result(10)
    pylock.lock("x").acquire_nowait().release()


def test_tasks_that_share_a_lock_end_their_own_blocks() -> None:
    async def main() -> None:
        lock = pylock.lock("x", "shared")
        inside, ended = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            async with lock:
                inside.set()
                await ended.wait()
                with pytest.raises(pylock.WouldBlock):
                    pylock.lock("x").acquire_nowait()

        running = asyncio.create_task(other())
        await inside.wait()
        with pytest.raises(pylock.NotHeld):
            async with lock as hold:
                hold.release()
        ended.set()
        await running

    asyncio.run(main())


def test_block_may_end_in_another_thread_than_it_began() -> None:
    lock = pylock.lock("x")
    with ThreadPoolExecutor() as pool:
        pool.submit(lock.__enter__).result(10)
    lock.__exit__(None, None, None)
    pylock.lock("x").acquire_nowait().release()


def test_dropped_block_is_not_taken_for_a_deadlock_later() -> None:
    with pytest.warns(ResourceWarning):
        pylock.lock("x").acquire().__enter__()
    assert not blocks.inside


def test_failed_release_of_one_lock_leaves_none_of_the_others_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks that were taken before one could not be had are all let go, and the error says what failed."""

    def fail(fd: int) -> None:
        raise OSError(5, "the disk is gone")

    numbers = pylock.sequence("b", transactional=True)
    busy = pylock.lock("c").acquire()
    with pytest.raises(pylock.LockTimeout):
        pylock.all_of(pylock.lock("a"), numbers, pylock.lock("c"), timeout=0.02).acquire()
    busy.release()
    holds = pylock.all_of(pylock.lock("a"), numbers).acquire()
    with monkeypatch.context() as broken:
        broken.setattr(state.os, "fdatasync", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            holds.release()
    assert not pylock.lock("a").locked()
    assert not numbers.locked()
    assert not blocks.inside


def test_waiting_behind_siblings_of_a_path_is_no_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits above the path that it wants is kept out by holders of that level, never by others below it."""
    monkeypatch.setattr(deadlocks, "_FIRST_LOOK", 0.02)
    reader = pylock.path_lock("/a", "shared").acquire()
    meet = threading.Barrier(2)

    def inside_a_sibling() -> str:
        with pylock.path_lock("/a/x", "shared"):
            meet.wait(10)
            with pylock.lock("m"):
                return "done"

    def wants_another() -> str:
        with pylock.lock("m"):
            meet.wait(10)
            with pylock.path_lock("/a/y"):
                return "done"

    with ThreadPoolExecutor() as pool:
        running = [pool.submit(inside_a_sibling), pool.submit(wants_another)]
        waiting("m", 1)
        waiting("/a", 1)
        assert pylock.inspect("/a").waiters[0].below == "/a/y"
        deadline = threading.Event()
        deadline.wait(0.3)  # as long as several looks take: an alarm would come in that time
        reader.release()
        assert [task.result(10) for task in running] == ["done", "done"]


def test_one_with_empty_hands_in_a_cycle_leaves_the_alarm_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiter that holds nothing never looks; if it came last, the last of those who look gives up."""
    monkeypatch.setattr(deadlocks, "_FIRST_LOOK", 0.02)
    shared = pylock.lock("a", "shared", policy="fair")
    outcomes: list[str] = []
    holding = threading.Event()

    def run(task: Callable[[], None], name: str) -> None:
        try:
            task()
            outcomes.append(name)
        except pylock.Deadlock:
            outcomes.append("deadlock")

    def holder() -> None:
        with shared:
            holding.set()
            with pylock.lock("b"):
                pass

    def reader() -> None:
        with pylock.lock("b"):
            assert holding.wait(10)
            waiting("b", 1)
            writer = threading.Thread(target=run, args=(write, "writer"))
            writer.start()
            waiting("a", 1)
            with pylock.lock("a", "shared"):
                pass
            writer.join(10)

    def write() -> None:
        pylock.lock("a", priority=5).acquire().release()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, reader, "reader")
        while not pylock.lock("b").locked():
            pass
        second = pool.submit(run, holder, "holder")
        first.result(30)
        second.result(30)
    assert outcomes.count("deadlock") == 1


def test_look_at_a_long_queue_walks_along_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in questions, as seconds would depend on the machine."""
    file = deadlocks._File("x", pylock.Definition(), ())
    fields = {"mode": "exclusive", "pid": 1, "since": 1}
    file.waiters = [deadlocks._Waiter(file, 7, (1 << 55) + seat, 0, dict(fields)) for seat in range(300)]
    asked = []
    yields_to = deadlocks._Waiter.yields_to
    monkeypatch.setattr(deadlocks._Waiter, "yields_to", lambda self, other: asked.append(1) or yields_to(self, other))
    assert not deadlocks._Stuck(file.waiters).waiters
    assert len(asked) < 3 * 300


def test_conversion_to_null_wakes_who_waits() -> None:
    hold = pylock.lock("x").acquire()
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(pylock.lock("x").acquire)
        waiting("x", 1)
        hold.convert("null")
        granted = waiter.result(10)
        assert granted.mode == "exclusive"
        granted.release()
    hold.release()


def test_directory_with_a_slash_behind_it_is_the_same_one(directory: Any) -> None:
    hold = pylock.lock("x", directory=f"{directory}/").acquire()
    assert pylock.all_of(pylock.lock("x", "shared")).parts[0].request.path == str(directory / "x.lock")
    hold.release()
