"""The asyncio front: the same lock, no threads, and a cancellation that leaves nothing behind wherever it lands."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Coroutine
from typing import Any

import pytest
from contender import Contender

import pylock
from pylock._queue import drivers


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


async def queued(name: str, count: int) -> None:
    while len(pylock.inspect(name).waiters) != count:
        await asyncio.sleep(0.001)


def test_tasks_of_one_loop_exclude_each_other() -> None:
    inside = 0

    async def enter() -> None:
        nonlocal inside
        for _ in range(20):
            async with pylock.lock("x"):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

    async def main() -> None:
        await asyncio.gather(*(enter() for _ in range(5)))

    run(main())


def test_wait_leaves_nothing_that_the_loop_listens_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop, watched = asyncio.get_running_loop(), set()
        listen = loop.add_reader
        monkeypatch.setattr(loop, "add_reader", lambda fd, *call: watched.add(fd) or listen(fd, *call))
        hold = pylock.lock("x").acquire()
        waiter = asyncio.create_task(pylock.lock("x").acquire_async())
        await queued("x", 1)
        hold.release()
        (await waiter).release()
        assert watched
        assert not any(map(loop.remove_reader, watched))

    run(main())


def test_waiting_task_lets_the_loop_go_on(contenders: type[Contender]) -> None:
    other = contenders()
    other.acquire("x")

    async def main() -> None:
        waiter = asyncio.create_task(pylock.lock("x").acquire_async())
        await queued("x", 1)
        ticks = 0
        for _ in range(10):
            await asyncio.sleep(0)
            ticks += 1
        assert ticks == 10
        other.release()
        (await waiter).release()

    run(main())


def test_timeout_is_a_lock_timeout() -> None:
    async def main() -> None:
        async with pylock.lock("x"):
            waiter = asyncio.create_task(pylock.lock("x").acquire_async(0.05))
            with pytest.raises(pylock.LockTimeout, match='gave up on "x"'):
                await waiter

    run(main())


def test_cancelled_waiter_leaves_nothing(directory: Any) -> None:
    async def main() -> None:
        async with pylock.lock("x"):
            before = descriptors()
            waiter = asyncio.create_task(pylock.lock("x").acquire_async())
            await queued("x", 1)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            assert pylock.inspect("x").waiters == ()
            assert descriptors() == before
        pylock.lock("x").acquire_nowait().release()

    run(main())
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]


@pytest.mark.parametrize("moment", range(8))
def test_cancellation_at_each_step_of_the_loop_leaves_nothing(moment: int, contenders: type[Contender]) -> None:
    """The holder releases while the waiter is cancelled, so that the grant and the cancellation race."""
    other = contenders()
    other.acquire("x")

    async def main() -> None:
        async def enter() -> None:
            async with pylock.lock("x"):
                await asyncio.sleep(0)

        waiter = asyncio.create_task(enter())
        await queued("x", 1)
        other.tell("release")
        for _ in range(moment):
            await asyncio.sleep(0.0002)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)

    run(main())
    other.answer()
    gc.collect()
    state = pylock.inspect("x")
    assert (state.holders, state.waiters) == ((), ())


def test_closed_coroutine_leaves_nothing() -> None:
    with pylock.lock("x"):
        coroutine = pylock.lock("x", "shared").acquire_async()

        async def main() -> None:
            async def drive() -> None:
                waiter = asyncio.ensure_future(coroutine)
                await asyncio.sleep(0)
                waiter.cancel()

            with pytest.raises(pylock.Deadlock):
                await coroutine
            await drive()

        run(main())
    assert pylock.inspect("x").waiters == ()


def test_generator_that_is_closed_inside_the_block_releases() -> None:
    def items() -> Any:
        with pylock.lock("x"):
            yield 1

    generator = items()
    next(generator)
    assert pylock.lock("x").locked()
    generator.close()
    assert not pylock.lock("x").locked()


def test_async_generator_that_is_closed_inside_the_block_releases() -> None:
    async def items() -> Any:
        async with pylock.lock("x"):
            yield 1

    async def main() -> None:
        generator = items()
        await anext(generator)
        assert pylock.lock("x").locked()
        await generator.aclose()
        assert not pylock.lock("x").locked()

    run(main())


def test_loop_that_is_closed_with_a_waiter_leaves_nothing() -> None:
    hold = pylock.lock("x").acquire()

    async def main() -> None:
        waiter = asyncio.create_task(pylock.lock("x").acquire_async())
        await queued("x", 1)
        assert not waiter.done()

    asyncio.run(main())
    assert pylock.inspect("x").waiters == ()
    hold.release()


def test_plain_with_inside_a_task_is_a_block_of_that_task() -> None:
    async def main() -> None:
        with pylock.lock("x"), pytest.raises(pylock.Deadlock, match="the same task holds it"):
            await pylock.lock("x").acquire_async()

    run(main())


def test_sleep_that_nothing_ends_is_told_from_one_that_a_bell_ended() -> None:
    read, write = os.pipe()
    try:
        assert not asyncio.run(drivers._sleep_in_asyncio([read], 0.001))
        os.write(write, b"!")
        assert asyncio.run(drivers._sleep_in_asyncio([read], 60))
    finally:
        os.close(read)
        os.close(write)
