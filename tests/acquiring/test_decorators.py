"""A lock as a decorator: each call takes it anew, waits as the function does, and lets go when the function is over."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contender import Contender, waiting

import pylock
from pylock._locks import Asking

ASKING: dict[str, Callable[[], Asking[Any]]] = {
    "lock": lambda: pylock.lock("x"),
    "pool": lambda: pylock.pool("x", ["red"]),
    "path": lambda: pylock.path_lock("/x"),
    "sequence": lambda: pylock.sequence("x"),
    "several": lambda: pylock.all_of(pylock.lock("x"), pylock.lock("y")),
}
asking = pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)


@asking
def test_function_runs_under_the_lock_and_only_then(asking: Callable[[], Asking[Any]]) -> None:
    lock = asking()

    @lock
    def doubled(number: int, *, plus: int = 0) -> int:
        assert lock.held
        return 2 * number + plus

    assert not lock.held
    assert [doubled(1), doubled(2, plus=1)] == [2, 5]
    assert not lock.held


@asking
def test_coroutine_function_awaits_the_lock(asking: Callable[[], Asking[Any]]) -> None:
    lock = asking()
    running = 0

    @lock
    async def alone(number: int) -> int:
        nonlocal running
        assert lock.held
        running += 1
        await asyncio.sleep(0)
        assert running == 1, "two at once: the lock was not waited for, or is not held over an await"
        running -= 1
        return number

    async def both() -> tuple[int, int]:
        return await asyncio.gather(alone(1), alone(2))

    assert inspect.iscoroutinefunction(alone)
    assert tuple(asyncio.run(both())) == (1, 2)
    assert not lock.held


def test_it_is_let_go_when_the_function_raises(contenders: type[Contender]) -> None:
    @pylock.lock("x")
    def broken() -> None:
        raise KeyError("x")

    @pylock.lock("x")
    async def broken_too() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        broken()
    with pytest.raises(KeyError):
        asyncio.run(broken_too())
    assert isinstance(contenders().ask("try", name="x"), int)


def test_transactional_number_goes_back_when_the_function_raises() -> None:
    @pylock.sequence("orders", transactional=True)
    def order(fails: bool) -> None:
        if fails:
            raise KeyError("stock")

    with pytest.raises(KeyError):
        order(True)
    with pylock.sequence("orders", transactional=True) as hold:
        assert hold.value == 1


def test_cancelled_call_leaves_nobody_in_the_queue(contenders: type[Contender]) -> None:
    contenders().acquire("x")

    @pylock.lock("x")
    async def never() -> None:
        raise AssertionError("it was not held")

    async def main() -> None:
        task = asyncio.create_task(never())
        await asyncio.to_thread(waiting, "x", 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert pylock.inspect("x").waiters == ()


def test_timeout_is_that_of_the_lock(contenders: type[Contender]) -> None:
    contenders().acquire("x")

    @pylock.lock("x", timeout=0)
    def impatient() -> None:
        raise AssertionError("it was not held")

    with pytest.raises(pylock.LockTimeout, match="held by pid"):
        impatient()


def test_threads_that_share_a_function_take_turns(executor: ThreadPoolExecutor) -> None:
    inside = threading.Lock()

    @pylock.lock("x")
    def alone(number: int) -> int:
        assert inside.acquire(blocking=False), "two at once"
        inside.release()
        return number

    assert list(executor.map(alone, range(40))) == list(range(40))


def test_function_that_shares_may_call_itself() -> None:
    @pylock.lock("x", "shared")
    def countdown(number: int) -> int:
        return len(pylock.inspect("x").holders) if number == 0 else countdown(number - 1)

    assert countdown(3) == 4, "each call takes the lock anew"
    assert pylock.inspect("x").holders == ()


def lines_named(error: pylock.Deadlock) -> list[int]:
    """The lines of this file in the message."""
    return [int(line) for line in re.findall(rf"{Path(__file__).name}:(\d+)", str(error))]


def test_function_that_excludes_itself_is_told_so_with_its_place() -> None:
    @pylock.lock("x")
    def twice() -> None:
        twice()

    with pytest.raises(pylock.Deadlock) as caught:
        twice()
    decorated = twice.__wrapped__.__code__.co_firstlineno  # type: ignore[attr-defined]
    assert lines_named(caught.value) == [decorated + 2, decorated]
    assert not pylock.lock("x").locked()


def test_coroutine_that_excludes_itself_is_told_so_with_its_place() -> None:
    @pylock.lock("x")
    async def twice() -> None:
        await twice()

    with pytest.raises(pylock.Deadlock, match="the same task holds it") as caught:
        asyncio.run(twice())
    decorated = twice.__wrapped__.__code__.co_firstlineno  # type: ignore[attr-defined]
    assert lines_named(caught.value) == [decorated + 2, decorated]


def test_method_name_and_signature_stay() -> None:
    class Report:
        def __init__(self) -> None:
            self.lines: list[str] = []

        @pylock.lock("x")
        def write(self, line: str) -> int:
            """Write it."""
            self.lines.append(line)
            return len(self.lines)

        @staticmethod
        @pylock.lock("x")
        def title() -> str:
            return "report"

        @classmethod
        @pylock.lock("x")
        def name(cls) -> str:
            return cls.__name__

    assert Report().write("a") == 1
    assert (Report.title(), Report.name()) == ("report", "Report")
    assert (Report.write.__name__, Report.write.__doc__) == ("write", "Write it.")
    assert list(inspect.signature(Report.write).parameters) == ["self", "line"]


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class Yielding:
    def __call__(self) -> Iterator[int]:
        yield 1

    def method(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "function",
    [generator, async_generator, functools.partial(functools.partial(generator)), Yielding(), Yielding().method],
    ids=["generator", "asynchronous", "partial", "object", "method"],
)
def test_generator_is_refused(function: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r'is a generator function, which would run without "x".* inside it by a with'):
        pylock.lock("x")(function)


@pytest.mark.parametrize("function", [Yielding, staticmethod(generator), classmethod(print), "x"])
def test_what_is_no_function_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"a lock decorates functions, not .*; of a class decorate its methods"):
        pylock.lock("x")(function)


async def alone() -> bool:
    return pylock.lock("x").locked()


class Awaiting:
    async def __call__(self) -> bool:
        return await alone()


@pytest.mark.parametrize(
    "function", [functools.partial(alone), Awaiting(), Awaiting().__call__], ids=["partial", "object", "method"]
)
def test_coroutine_function_is_known_in_every_form(function: Callable[[], Any]) -> None:
    assert asyncio.run(pylock.lock("x")(function)())


@pytest.mark.parametrize("function", [lambda: alone(), lambda: generator(), lambda: async_generator()])  # noqa: PLW0108
def test_function_that_returns_what_would_run_later_is_refused(function: Callable[[], object]) -> None:
    guarded = pylock.lock("x")(function)
    with pytest.raises(TypeError, match=r"returned a .*, which would run without"):
        guarded()
    assert not pylock.lock("x").locked()


def test_builtin_function_can_be_decorated() -> None:
    assert pylock.lock("x")(len)("abc") == 3
