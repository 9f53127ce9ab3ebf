"""Waiting in tasks of trio, and of anyio on both of its back ends: the loop goes on, and cancelling leaves nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
from contender import Contender, waiting

import pylock

MAKERS: dict[str, Callable[[], Any]] = {
    "lock": lambda: pylock.lock("x"),
    "pool": lambda: pylock.pool("x", ["a"]),
    "path": lambda: pylock.path_lock("/x/y"),
    "several": lambda: pylock.all_of(pylock.lock("x"), pylock.lock("y")),
}
every_loop = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def run(main: Callable[[], Awaitable[None]], backend: str = "trio") -> None:
    anyio.run(main, backend=backend)


@every_loop
@pytest.mark.parametrize("kind", MAKERS)
def test_other_tasks_go_on_while_one_waits(kind: str, backend: str) -> None:
    async def main() -> None:
        hold = MAKERS[kind]().acquire()
        ticks = 0

        async def wait() -> None:
            async with MAKERS[kind]():
                scope.cancel()

        async with anyio.create_task_group() as group:
            scope = group.cancel_scope
            group.start_soon(wait)
            while not any(lock.waiters for lock in pylock.status()):
                await anyio.sleep(0.001)
            for _ in range(10):
                await anyio.sleep(0.001)
                ticks += 1
            hold.release()
        assert ticks == 10
        MAKERS[kind]().acquire_nowait().release()

    run(main, backend)


@every_loop
@pytest.mark.parametrize("kind", MAKERS)
def test_cancelling_leaves_nothing_queued_or_held(kind: str, backend: str) -> None:
    async def main() -> None:
        hold = MAKERS[kind]().acquire()
        with anyio.move_on_after(0.02) as scope:
            await MAKERS[kind]().acquire_async()
        assert scope.cancelled_caught
        assert not any(lock.waiters for lock in pylock.status())
        hold.release()
        MAKERS[kind]().acquire_nowait().release()

    run(main, backend)


@every_loop
def test_timeout_counts(backend: str) -> None:
    async def main() -> None:
        hold = await pylock.lock("x").acquire_async()
        with pytest.raises(pylock.LockTimeout):
            await pylock.lock("x", timeout=0.01).acquire_async()
        hold.release()

    run(main, backend)


def test_another_process_wakes_a_task(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")

    async def let_go() -> None:
        while not pylock.inspect("x").waiters:
            await trio.sleep(0.001)
        await trio.to_thread.run_sync(holder.release)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(let_go)
            async with pylock.lock("x") as hold:
                assert hold.waited > 0

    trio.run(main)


def test_holder_that_is_killed_wakes_a_task(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")

    async def kill() -> None:
        await trio.to_thread.run_sync(waiting, "x", 1)
        holder.kill()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            async with pylock.lock("x"):
                pass

    trio.run(main)


def test_conversion_waits_in_a_task() -> None:
    async def main() -> None:
        first = pylock.lock("x", "shared").acquire()
        second = pylock.lock("x", "shared").acquire()

        async def let_go() -> None:
            while not pylock.inspect("x").waiters:
                await trio.sleep(0.001)
            first.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(let_go)
            await second.convert_async("exclusive")
        assert second.mode == "exclusive"
        second.release()

    trio.run(main)


def test_task_that_waits_for_itself_is_told() -> None:
    async def main() -> None:
        async with pylock.lock("x"):
            with pytest.raises(pylock.Deadlock, match="the same task holds it"):
                await pylock.lock("x").acquire_async()

    trio.run(main)


def test_call_that_blocks_the_loop_of_the_holder_is_told() -> None:
    async def hold(*, task_status: trio.TaskStatus[None]) -> None:
        async with pylock.lock("x"):
            task_status.started()
            await trio.sleep_forever()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(hold)
            with pytest.raises(pylock.Deadlock):
                pylock.lock("x").acquire(5)
            with pytest.raises(pylock.LockTimeout):
                await pylock.lock("x").acquire_async(0.01)  # which lets the other task go on
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_tasks_of_one_lock_take_turns() -> None:
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            async with pylock.lock("x"):
                inside += 1
                most = max(most, inside)
                await trio.sleep(0)
                inside -= 1

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(work)

    trio.run(main)
    assert most == 1
