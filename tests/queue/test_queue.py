"""Who goes first: arrival, priority, the two policies, and waiters that are stopped or killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from contender import Contender, until, waiting

import pylock


def modes_of(name: str) -> list[str]:
    return [holder.mode.code for holder in pylock.inspect(name).holders]


def granted(contender: Contender) -> None:
    assert isinstance(contender.answer(), int)


def test_waiters_are_served_in_order_of_arrival(contenders: type[Contender]) -> None:
    first = contenders()
    first.acquire("x")
    queue = [contenders() for _ in range(4)]
    for contender in queue:
        contender.start_acquiring("x")
    assert [waiter.pid for waiter in pylock.inspect("x").waiters] == [contender.pid for contender in queue]
    holder = first
    for contender in queue:
        holder.release()
        granted(contender)
        assert pylock.inspect("x").holders[0].pid == contender.pid
        holder = contender


def test_higher_priority_goes_first(contenders: type[Contender]) -> None:
    first = contenders()
    first.acquire("x")
    queue = {priority: contenders() for priority in (0, -5, 7, 63)}
    for priority, contender in queue.items():
        contender.start_acquiring("x", priority=priority)
    assert [waiter.priority for waiter in pylock.inspect("x").waiters] == [63, 7, 0, -5]
    holder = first
    for priority in (63, 7, 0, -5):
        holder.release()
        granted(queue[priority])
        holder = queue[priority]


def test_jobscheduler_case_1_exclusive_then_two_shared(contenders: type[Contender]) -> None:
    job1, job2, job3 = contenders(), contenders(), contenders()
    job1.acquire("testLock")
    job2.start_acquiring("testLock", "shared")
    job3.start_acquiring("testLock", "shared")
    assert modes_of("testLock") == ["EX"]
    job1.release()
    granted(job2)
    granted(job3)
    assert modes_of("testLock") == ["PR", "PR"]


def test_jobscheduler_case_2_two_shared_then_exclusive(contenders: type[Contender]) -> None:
    job1, job2, job3 = contenders(), contenders(), contenders()
    job2.acquire("testLock", "shared")
    job3.acquire("testLock", "shared")
    job1.start_acquiring("testLock")
    job2.release()
    assert modes_of("testLock") == ["PR"]
    job3.release()
    granted(job1)


def test_jobscheduler_case_3_shared_joins_although_exclusive_waits(contenders: type[Contender]) -> None:
    job1, job2, job3 = contenders(), contenders(), contenders()
    job2.acquire("testLock", "shared")
    job1.start_acquiring("testLock")
    assert isinstance(job3.acquire("testLock", "shared"), int)
    assert modes_of("testLock") == ["PR", "PR"]
    job2.release()
    job3.release()
    granted(job1)


def test_fair_makes_shared_wait_behind_exclusive(contenders: type[Contender]) -> None:
    job1, job2, job3 = contenders(), contenders(), contenders()
    job2.acquire("x", "shared", policy="fair")
    job1.start_acquiring("x", policy="fair")
    job3.start_acquiring("x", "shared", policy="fair")
    job2.release()
    granted(job1)
    assert modes_of("x") == ["EX"]
    job1.release()
    granted(job3)


def test_fair_refuses_a_plain_try_while_somebody_waits(contenders: type[Contender]) -> None:
    holder, waiter = contenders(), contenders()
    holder.acquire("x", "shared", policy="fair")
    waiter.start_acquiring("x", policy="fair")
    with pytest.raises(pylock.WouldBlock, match="promised to pid"):
        pylock.lock("x", "CR", policy="fair").acquire_nowait()


def test_all_shared_waiters_follow_the_first_one_in(contenders: type[Contender]) -> None:
    holder = contenders()
    holder.acquire("x")
    exclusive = contenders()
    readers = [contenders() for _ in range(4)]
    readers[0].start_acquiring("x", "shared")
    exclusive.start_acquiring("x")
    for reader in readers[1:]:
        reader.start_acquiring("x", "shared")
    holder.release()
    for reader in readers:
        granted(reader)
    assert modes_of("x") == ["PR"] * 4
    assert [waiter.pid for waiter in pylock.inspect("x").waiters] == [exclusive.pid]


def test_baton_passes_over_an_exclusive_waiter_by_bells_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for interval in ("SAFETY", "SAFETY_BEHIND"):
        monkeypatch.setattr(f"pylock._acquiring.waiting.{interval}", (60.0,) if "BEHIND" in interval else 60.0)
    with ThreadPoolExecutor(8) as pool:
        holder = pylock.lock("x").acquire()
        futures = []
        for place, mode in enumerate(["shared", "EX", "shared", "CR", "shared"], 1):
            futures.append(pool.submit(pylock.lock("x", mode).acquire))
            waiting("x", place)
        holder.release()
        shared = [futures[place].result(10) for place in (0, 2, 3, 4)]
        assert not futures[1].done()
        for hold in shared:
            hold.release()
        futures[1].result(10).release()


def test_large_request_is_not_starved_by_small_ones(contenders: type[Contender]) -> None:
    """A shared request passes exclusive ones that wait, but not an older shared one that lost its patience."""
    small, large = contenders(), contenders()
    small.acquire("x", "shared", capacity=5)
    small.acquire("x", "shared", capacity=5)
    large.start_acquiring("x", "shared", weight=5)

    def small_one_waits_too() -> bool:
        try:
            pylock.lock("x", "shared").acquire_nowait().release()
        except pylock.WouldBlock:
            return True
        return False

    until(small_one_waits_too)
    small.release()
    small.release()
    granted(large)


def test_exclusive_waiter_is_not_starved_by_a_tight_loop(contenders: type[Contender]) -> None:
    waiter = contenders()
    lock = pylock.lock("x")
    with lock:
        waiter.start_acquiring("x")
    rounds = 0
    while not pylock.inspect("x").holders or pylock.inspect("x").holders[0].pid != waiter.pid:
        try:
            with pylock.lock("x", timeout=0):
                rounds += 1
        except pylock.LockTimeout:
            pass
        assert rounds < 100_000
    granted(waiter)


def test_stopped_waiter_does_not_block_the_rest(contenders: type[Contender]) -> None:
    holder, stopped, behind = contenders(), contenders(), contenders()
    holder.acquire("x")
    stopped.start_acquiring("x")
    behind.start_acquiring("x")
    stopped.stop()
    holder.release()
    granted(behind)
    behind.release()
    stopped.go_on()
    granted(stopped)


def test_killed_waiter_leaves_the_queue(contenders: type[Contender]) -> None:
    holder, killed, behind = contenders(), contenders(), contenders()
    holder.acquire("x")
    killed.start_acquiring("x")
    behind.start_acquiring("x")
    killed.kill()
    waiting("x", 1)
    holder.release()
    granted(behind)


def test_bell_of_a_killed_waiter_is_used_by_the_next_one_and_then_removed(
    contenders: type[Contender], directory: object
) -> None:
    holder, killed, after = contenders(), contenders(), contenders()
    holder.acquire("x")
    killed.start_acquiring("x")
    killed.kill()
    waiting("x", 0)
    after.start_acquiring("x")
    holder.release()
    granted(after)
    after.release()
    assert sorted(entry.name for entry in directory.iterdir()) == ["x.lock"]  # type: ignore[attr-defined]


def test_priorities_order_shared_and_exclusive_together_when_fair(contenders: type[Contender]) -> None:
    holder, low, high = contenders(), contenders(), contenders()
    holder.acquire("x", policy="fair")
    low.start_acquiring("x", "shared", priority=1, policy="fair")
    high.start_acquiring("x", priority=2, policy="fair")
    holder.release()
    granted(high)
    high.release()
    granted(low)
