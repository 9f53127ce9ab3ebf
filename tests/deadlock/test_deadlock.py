"""A thread or task that would wait for what only itself can release is told so, with both places."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from contender import waiting

import pylock


def test_same_thread_through_another_object_is_a_deadlock() -> None:
    with pylock.lock("x"), pytest.raises(pylock.Deadlock) as caught:
        pylock.lock("x", "shared", timeout=60).acquire()
    assert str(caught.value).count("test_deadlock.py:") == 2
    assert caught.value.name == "x"


def test_same_thread_through_the_same_object_is_a_deadlock() -> None:
    lock = pylock.lock("x")
    with lock, pytest.raises(pylock.Deadlock), lock:
        pass
    assert not lock.locked()


def test_plain_try_would_block() -> None:
    with pylock.lock("x"):
        with pytest.raises(pylock.WouldBlock):
            pylock.lock("x").acquire_nowait()
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("x").acquire(0)


def test_block_of_what_several_have_granted_is_one_of_each() -> None:
    both = pylock.all_of(pylock.lock("a"), pylock.lock("b"))
    for asked in (lambda: both, both.acquire):
        with asked(), pytest.raises(pylock.Deadlock):
            pylock.lock("a").acquire(5)


def test_nested_compatible_block_is_granted() -> None:
    with pylock.lock("x", "shared"), pylock.lock("x", "shared"), pylock.lock("x", "CR"):
        assert len(pylock.inspect("x").holders) == 3


def test_nested_shared_block_passes_the_queue_because_the_queue_waits_for_it() -> None:
    with ThreadPoolExecutor() as pool:
        with pylock.lock("x", "shared", policy="fair"):
            writer = pool.submit(pylock.lock("x", policy="fair").acquire)
            waiting("x", 1)
            with pylock.lock("x", "shared", policy="fair", timeout=10) as nested:
                assert nested.waited == 0
        writer.result(10).release()


def test_units_that_the_thread_itself_holds_are_a_deadlock() -> None:
    with pylock.lock("x", "shared", capacity=2), pylock.lock("x", "shared"), pytest.raises(pylock.Deadlock):
        pylock.lock("x", "shared").acquire()


def test_hold_without_a_block_is_none_since_another_thread_may_release_it() -> None:
    hold = pylock.lock("x").acquire()
    release = threading.Timer(0.05, hold.release)
    release.start()
    pylock.lock("x").acquire(10).release()
    release.join()


def test_another_thread_waits() -> None:
    with ThreadPoolExecutor() as pool:
        with pylock.lock("x"):
            waiter = pool.submit(pylock.lock("x").acquire)
            waiting("x", 1)
        waiter.result(10).release()


def test_another_task_waits() -> None:
    async def main() -> None:
        async with pylock.lock("x"):
            waiter = asyncio.create_task(pylock.lock("x").acquire_async())
            while not pylock.inspect("x").waiters:
                await asyncio.sleep(0.001)
        (await waiter).release()

    asyncio.run(main())


def test_same_task_is_a_deadlock() -> None:
    async def main() -> None:
        async with pylock.lock("x"):
            with pytest.raises(pylock.Deadlock, match="the same task holds it"):
                await pylock.lock("x").acquire_async()

    asyncio.run(main())


def test_call_that_blocks_the_loop_for_a_lock_of_another_task_is_a_deadlock() -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def holder() -> None:
            async with pylock.lock("x"):
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(holder())
        await entered.wait()
        with pytest.raises(pylock.Deadlock, match="another task of this event loop holds it"):
            pylock.lock("x").acquire()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
