"""`all_of`: several locks, all or none, in whatever order they are named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import pylock


def locked() -> list[str]:
    return [state.name for state in pylock.status() if state.holders]


def test_all_are_held_in_the_block_and_none_after_it() -> None:
    with pylock.all_of(pylock.lock("b"), pylock.lock("a", "shared")) as holds:
        assert [hold.name for hold in holds.holds] == ["b", "a"]
        assert locked() == ["a", "b"]
        holds.check()
    assert locked() == []


def test_none_is_held_if_one_is_not_to_be_had_in_time() -> None:
    with ThreadPoolExecutor() as pool:
        other = pool.submit(pylock.lock("b").acquire).result()
    for timeout in (0, 0.02):
        with pytest.raises(pylock.LockTimeout, match='gave up on "b"'):
            pylock.all_of(pylock.lock("a"), pylock.lock("b"), pylock.lock("c")).acquire(timeout)
        assert locked() == ["b"]
    other.release()


def test_opposite_orders_do_not_deadlock() -> None:
    def take(names: str) -> None:
        for _ in range(30):
            with pylock.all_of(*map(pylock.lock, names)):
                pass

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(take, names) for names in ("abc", "cba", "bca")]:
            future.result(60)
    assert locked() == []


def test_asyncio_takes_all_and_a_cancellation_leaves_none() -> None:
    async def main() -> None:
        async with pylock.all_of(pylock.lock("a"), pylock.lock("b")):
            assert locked() == ["a", "b"]
        hold = pylock.lock("b").acquire()
        waiter = asyncio.create_task(pylock.all_of(pylock.lock("b"), pylock.lock("a")).acquire_async())
        while not pylock.inspect("b").waiters:
            await asyncio.sleep(0.001)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert locked() == ["b"]
        hold.release()

    asyncio.run(main())


@pytest.mark.parametrize(
    "ask", [lambda: pylock.all_of(pylock.lock("a"), pylock.lock("b")), lambda: pylock.path_lock("/a")]
)
def test_block_of_what_was_released_does_not_begin(ask: Callable[[], Any]) -> None:
    holds = ask().acquire()
    holds.release()
    with pytest.raises(pylock.NotHeld), holds:
        pytest.fail("nothing is held here")


@pytest.mark.parametrize(
    ("given", "advice"),
    [("a", r"not 'a'; pylock.lock\('a'\)"), ([pylock.lock], r"of a list of them write all_of\(\*locks\)")],
)
def test_what_is_no_lock_is_refused_with_what_to_write(given: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        pylock.all_of(given)


@pytest.mark.parametrize(("names", "message"), [("", "are at least one"), ("aba", 'are different ones: "a" twice')])
def test_no_lock_or_the_same_twice_is_refused(names: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"several locks at once {message}"):
        pylock.all_of(*map(pylock.lock, names))
