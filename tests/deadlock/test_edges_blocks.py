"""Deadlock only where there is one: who may go on by itself is waited for, however its block was entered."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from command import PYLOCK, environment
from command import pylock as command
from contender import Contender, until

import pylock
from pylock._acquiring import attempt, conversion, place

SHORT = 0.02


def waits() -> bool:
    """Whether who asks here waits, and is told so, and is not told of a deadlock."""
    try:
        pylock.lock("x", timeout=SHORT).acquire().release()
    except pylock.Deadlock:
        return False
    except pylock.LockTimeout:
        return True
    raise AssertionError("granted")


async def waits_as_task() -> bool:
    try:
        (await pylock.lock("x", timeout=SHORT).acquire_async()).release()
    except pylock.Deadlock:
        return False
    except pylock.LockTimeout:
        return True
    raise AssertionError("granted")


def is_free() -> bool:
    pylock.lock("x").acquire_nowait().release()
    return True


# What may end by itself


def test_block_in_a_generator_that_is_suspended_is_waited_for() -> None:
    def generate() -> Iterator[int]:
        with pylock.lock("x"):
            yield 1

    generator = generate()
    next(generator)
    assert waits()
    generator.close()  # type: ignore[attr-defined]
    assert is_free()


def test_block_in_a_generator_that_is_running_is_a_deadlock() -> None:
    def generate() -> Iterator[bool]:
        with pylock.lock("x"):
            yield waits()

    assert list(generate()) == [False]


def test_block_of_a_dependency_with_yield_is_waited_for_in_a_request() -> None:
    """As FastAPI has them: an asynchronous generator that goes on after the answer."""

    async def dependency() -> AsyncIterator[int]:
        async with pylock.lock("x"):
            yield 1

    async def main() -> None:
        generator = dependency()
        await anext(generator)
        assert await waits_as_task()
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        assert is_free()

    asyncio.run(main())


def test_block_that_is_entered_in_one_thread_and_left_in_another_is_waited_for() -> None:
    """As FastAPI has dependencies that are no coroutines: each step in some thread of a pool."""

    @contextlib.contextmanager
    def dependency() -> Iterator[None]:
        with pylock.lock("x"):
            yield

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        manager = dependency()
        one.submit(manager.__enter__).result(20)
        assert one.submit(waits).result(20)
        assert other.submit(waits).result(20)
        other.submit(manager.__exit__, None, None, None).result(20)
    assert is_free()


def test_block_of_a_callback_is_waited_for() -> None:
    async def main() -> None:
        loop, lock = asyncio.get_running_loop(), pylock.lock("x")
        loop.call_soon(lock.__enter__)
        loop.call_later(0.05, lock.__exit__, None, None, None)
        await asyncio.sleep(0.01)
        async with pylock.lock("x", timeout=20):
            pass

    asyncio.run(main())


def test_block_around_the_yield_of_callbacks_that_are_chained_is_waited_for() -> None:
    """As Twisted's inlineCallbacks and Tornado's coroutines have it: a generator that the loop takes further."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        had: asyncio.Future[bool] = loop.create_future()

        def step(generator: Iterator[float]) -> None:
            for seconds in generator:
                loop.call_later(seconds, step, generator)
                return

        async def ask() -> None:
            async with pylock.lock("x", timeout=20):
                had.set_result(True)

        tasks = []

        def first() -> Iterator[float]:
            with pylock.lock("x"):
                tasks.append(asyncio.ensure_future(ask()))
                yield 0.02
                assert not had.done()

        step(first())
        assert await had

    asyncio.run(main())


@pytest.mark.parametrize("way", ["ExitStack", "by hand"])
def test_block_that_was_entered_otherwise_than_by_a_statement_is_waited_for(way: str) -> None:
    """Anybody may leave it."""
    lock, stack = pylock.lock("x"), contextlib.ExitStack()
    if way == "ExitStack":
        stack.enter_context(lock)
    else:
        lock.__enter__()
        stack.push(lock)
    assert waits()
    with ThreadPoolExecutor() as pool:
        pool.submit(stack.close).result(20)
    assert is_free()


def test_stack_that_another_thread_closes_lets_the_waiter_in() -> None:
    stack = contextlib.ExitStack()
    stack.enter_context(pylock.lock("x"))
    closer = threading.Timer(0.03, stack.close)
    closer.start()
    with pylock.lock("x", timeout=20):
        pass
    closer.join()


GREENLETS = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, pylock
said = []
def holder():
    with pylock.lock("x"):
        said.append("in")
        gevent.sleep(0.05)
        said.append("out")
def waiter():
    with pylock.lock("x", timeout=20):
        said.append("had")
def inside():
    with pylock.lock("z"):
        try:
            pylock.lock("z").acquire(20)
        except pylock.Deadlock:
            said.append("deadlock")
def cross(first, second):
    with pylock.lock(first):
        gevent.sleep(0.02)
        try:
            with pylock.lock(second, timeout=20):
                said.append("both")
        except pylock.Deadlock:
            said.append("cycle")
gevent.joinall([gevent.spawn(holder), gevent.spawn(waiter)], raise_error=True)
gevent.joinall([gevent.spawn(inside)], raise_error=True)
gevent.joinall([gevent.spawn(cross, "a", "b"), gevent.spawn(cross, "b", "a")], raise_error=True)
print(*said)
"""


def test_greenlets_wait_for_each_other_and_find_their_deadlocks() -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "in out had deadlock cycle both\n", done.stderr


# What cannot


def test_nested_blocks_are_a_deadlock_however_they_are_written() -> None:
    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with pylock.lock("x"):
            yield

    @contextlib.contextmanager
    def outer() -> Iterator[None]:
        with locked():
            yield

    @locked()
    def decorated() -> bool:
        return waits()

    def called() -> bool:
        return waits()

    with pylock.lock("x"):
        assert not called()
    with locked():
        assert not called()
    with outer():
        assert not called()
    assert not decorated()
    with pylock.lock("x", "shared"), pylock.lock("y"):
        assert not waits()
    with pylock.all_of(pylock.lock("x"), pylock.lock("y")):
        assert not waits()
    with pylock.lock("x").acquire():
        assert not waits()
    assert waits_after_a_block_that_ended()


def waits_after_a_block_that_ended() -> bool:
    with pylock.lock("x"):
        pass
    return is_free()


def test_nested_blocks_of_a_task_are_a_deadlock_however_they_are_written() -> None:
    @contextlib.asynccontextmanager
    async def locked() -> AsyncIterator[None]:
        async with pylock.lock("x"):
            yield

    async def called() -> bool:
        await asyncio.sleep(0)
        return await waits_as_task()

    async def main() -> None:
        async with pylock.lock("x"):
            assert not await called()
            assert await asyncio.create_task(called())  # another task; this one might go on
        async with locked():
            assert not await called()
        with pylock.lock("x"):
            assert not await called()
            assert not waits()

    asyncio.run(main())


def crossing(take: Callable[[str, str], str]) -> list[str]:
    """What becomes of two threads that take two locks crosswise."""
    with ThreadPoolExecutor(2) as pool:
        return sorted(each.result(30) for each in (pool.submit(take, "a", "b"), pool.submit(take, "b", "a")))


def take_both(meet: threading.Barrier) -> Callable[[str, str], str]:
    def take(first: str, second: str) -> str:
        with pylock.lock(first):
            meet.wait(20)
            try:
                with pylock.lock(second, timeout=20):
                    return "both"
            except pylock.Deadlock:
                return "deadlock"

    return take


def test_threads_that_wait_crosswise_get_one_deadlock() -> None:
    assert crossing(take_both(threading.Barrier(2))) == ["both", "deadlock"]


def test_tasks_that_wait_crosswise_get_one_deadlock() -> None:
    async def take(first: str, second: str, meet: asyncio.Barrier) -> str:
        async with pylock.lock(first):
            await meet.wait()
            try:
                async with pylock.lock(second, timeout=20):
                    return "both"
            except pylock.Deadlock:
                return "deadlock"

    async def main() -> list[str]:
        meet = asyncio.Barrier(2)
        return sorted(await asyncio.gather(take("a", "b", meet), take("b", "a", meet)))

    assert asyncio.run(main()) == ["both", "deadlock"]


def test_processes_that_wait_crosswise_get_one_deadlock(contenders: type[Contender]) -> None:
    one, other = contenders(), contenders()
    assert isinstance(one.ask("enter", name="a"), int)
    assert isinstance(other.ask("enter", name="b"), int)
    one.start_acquiring("b", timeout=20)
    other.tell("acquire", name="a", timeout=20)
    one_got, other_got = [], []

    def look() -> bool:
        return bool(one_got or other_got)

    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: one_got.append(one.answer()))
        pool.submit(lambda: other_got.append(other.answer()))
        until(look)
        loser, got = (one, one_got) if one_got else (other, other_got)
        assert got == ["Deadlock"]
        loser.tell("leave")
    assert isinstance((other_got if loser is one else one_got)[0], int)


def test_commands_that_wait_crosswise_get_one_deadlock() -> None:
    def take(first: str, second: str) -> str:
        inner = f"until test -e {second}.in; do sleep 0.01; done; {shlex.join(PYLOCK)} run -t 20 {second} -- true"
        done = command("run", first, "--", "sh", "-c", f">{first}.in; {inner}", cwd=place)
        return "both" if done.returncode == 0 else "deadlock" if "for ever" in done.stderr else done.stderr

    import tempfile

    with tempfile.TemporaryDirectory() as place:
        assert crossing(take) == ["both", "deadlock"]


# A clock that stands


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All begin in the same microsecond."""
    moment = attempt.now()
    for module in (attempt, conversion, place):
        monkeypatch.setattr(module, "now", lambda: moment)


@pytest.mark.usefixtures("standing_clock")
def test_two_who_began_at_the_same_moment_get_one_deadlock() -> None:
    assert crossing(take_both(threading.Barrier(2))) == ["both", "deadlock"]


@pytest.mark.usefixtures("standing_clock")
def test_two_conversions_that_began_at_the_same_moment_get_one_deadlock() -> None:
    meet = threading.Barrier(2)

    def convert(hold: Any) -> str:
        meet.wait(20)
        try:
            hold.convert("exclusive", timeout=20)
        except pylock.Deadlock:
            return "deadlock"
        finally:
            hold.release()
        return "converted"

    holds = [pylock.lock("x", "shared").acquire() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(convert, holds)) == ["converted", "deadlock"]
