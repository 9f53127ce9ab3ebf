"""A hold changes its mode in place: at once if nobody is in the way, and nobody gets in between."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contender import Contender, lets_in, until, waiting
from kernel import by_bells_alone, replaced

import pylock
from pylock._acquiring import place
from pylock._file import layout
from pylock._modes import ALL, rule_of
from pylock._queue.tickets import Ticket

CODES = [rule.code for rule in ALL]


@pytest.mark.parametrize("before", CODES)
@pytest.mark.parametrize("after", CODES)
def test_converted_hold_excludes_and_shows_as_if_taken_so(before: str, after: str) -> None:
    hold = pylock.lock("x", before).acquire()
    hold.convert(after)
    assert hold.mode.code == after
    assert lets_in("x") == {code for code in CODES if code in rule_of(after).compatible}
    assert [holder.mode.code for holder in pylock.inspect("x").holders] == [after]
    hold.check()
    hold.release()
    assert pylock.inspect("x").holders == ()
    assert lets_in("x") == set(CODES)


@pytest.mark.parametrize("before", CODES)
@pytest.mark.parametrize("after", CODES)
def test_conversion_waits_for_exactly_those_whom_the_new_mode_excludes(before: str, after: str) -> None:
    for other in (code for code in CODES if code in rule_of(before).compatible):
        hold, neighbour = pylock.lock("x", before).acquire(), pylock.lock("x", other).acquire()
        try:
            hold.convert(after, timeout=0)
            converted = True
        except pylock.LockTimeout:
            converted = False
        assert converted == (other in rule_of(after).compatible), other
        assert hold.mode.code == (after if converted else before)
        neighbour.release()
        hold.release()


def test_waiting_conversion_is_granted_when_the_last_in_the_way_leaves(
    executor: ThreadPoolExecutor, directory: Any
) -> None:
    hold, *others = [pylock.lock("x", "shared").acquire() for _ in range(3)]
    converting = executor.submit(hold.convert, "exclusive", 20)
    waiting("x", 1)
    [waiter] = pylock.inspect("x").waiters
    assert (waiter.mode.code, waiter.held) == ("EX", "PR")
    others[0].release()
    assert not converting.done()
    others[1].release()
    converting.result(10)
    assert hold.mode == "exclusive"
    hold.release()
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]


def test_conversion_goes_before_all_who_queue(executor: ThreadPoolExecutor) -> None:
    hold, other = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    queued = executor.submit(pylock.lock("x", "exclusive").acquire)
    waiting("x", 1)
    converting = executor.submit(hold.convert, "exclusive")
    waiting("x", 2)
    other.release()
    converting.result(10)
    assert not queued.done()
    hold.release()
    queued.result(10).release()


def test_time_out_leaves_the_hold_as_it_was(directory: Any) -> None:
    hold, other = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    with pytest.raises(pylock.LockTimeout, match=r'gave up on "x" \(exclusive\).*held by pid') as caught:
        hold.convert("exclusive", timeout=0.05)
    assert 0.05 <= (caught.value.waited or 0) < 30
    assert hold.mode == "shared"
    hold.check()
    assert len(pylock.inspect("x").holders) == 2
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]
    hold.release()
    other.release()


def test_second_would_be_upgrader_gets_deadlock_at_once(executor: ThreadPoolExecutor) -> None:
    first, second = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    converting = executor.submit(first.convert, "exclusive")
    waiting("x", 1)
    with pytest.raises(pylock.Deadlock, match="neither lets go"):
        second.convert("exclusive")
    assert second.mode == "shared", "the one who is refused still has its hold"
    second.release()
    converting.result(10)
    first.release()


def test_two_who_do_not_exclude_each_other_may_both_convert(executor: ThreadPoolExecutor) -> None:
    reader, *holds = [pylock.lock("x", "PR").acquire(), *(pylock.lock("x", "CR").acquire() for _ in range(2))]
    converting = [executor.submit(hold.convert, "concurrent_write") for hold in holds]
    waiting("x", 2)
    reader.release()
    for future in converting:
        future.result(10)
    for hold in holds:
        hold.release()


def test_downgrade_leaves_no_gap_for_another_exclusive(contenders: type[Contender]) -> None:
    hold = pylock.lock("x").acquire()
    rival, reader = contenders(), contenders()
    rival.start_acquiring("x", "exclusive")
    reader.start_acquiring("x", "shared")
    hold.convert("shared")
    reader.answer()
    assert [holder.mode for holder in pylock.inspect("x").holders] == ["shared", "shared"]
    waiting("x", 1)
    hold.release()
    reader.release()
    rival.answer()


def test_upgrade_counts_as_a_grant_for_the_fencing_token() -> None:
    with pylock.lock("x") as hold:
        before = hold.token
    with pylock.lock("x", "shared") as hold:
        hold.convert("exclusive")
        assert hold.token > before


def test_token_of_a_conversion_is_greater_although_the_clock_is_set_back() -> None:
    with pylock.lock("x") as hold:
        before = hold.token
    with replaced(layout, "now", lambda: before - 1_000_000), pylock.lock("x", "shared") as hold:
        hold.convert("exclusive")
        assert hold.token > before


def test_with_block_ends_a_converted_hold() -> None:
    with pylock.lock("x", "shared") as hold:
        hold.convert("exclusive")
        with pytest.raises(pylock.Deadlock):
            pylock.lock("x", "shared").acquire()
    assert not pylock.lock("x").locked()


def test_converting_against_an_own_block_is_a_deadlock() -> None:
    with pylock.lock("x", "shared"), pylock.lock("x", "shared") as inner, pytest.raises(pylock.Deadlock):
        inner.convert("exclusive")


def test_killed_converter_leaves_nothing(contenders: type[Contender]) -> None:
    hold = pylock.lock("x", "shared").acquire()
    other = contenders()
    other.acquire("x", "shared")
    other.tell("convert", mode="exclusive")
    waiting("x", 1)
    other.kill()
    hold.convert("exclusive", timeout=10)
    hold.release()


def test_a_task_converts_without_a_thread() -> None:
    async def convert() -> str:
        async with pylock.lock("x", "shared") as hold:
            other = pylock.lock("x", "shared").acquire()
            conversion = asyncio.create_task(hold.convert_async("exclusive"))
            while not pylock.inspect("x").waiters:
                await asyncio.sleep(0)
            other.release()
            await conversion
            return str(hold.mode)

    assert asyncio.run(convert()) == "exclusive"


def test_cancelled_conversion_keeps_the_hold(directory: Any) -> None:
    async def cancel() -> None:
        hold, other = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
        conversion = asyncio.create_task(hold.convert_async("exclusive"))
        while not pylock.inspect("x").waiters:
            await asyncio.sleep(0)
        conversion.cancel()
        with pytest.raises(asyncio.CancelledError):
            await conversion
        assert hold.mode == "shared"
        hold.check()
        hold.release()
        other.release()

    asyncio.run(cancel())
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]


@pytest.mark.parametrize("before", ["concurrent_read", "concurrent_write", "protected_write"])
def test_closed_lock_lets_its_holders_share(before: str) -> None:
    hold = pylock.lock("x", before).acquire()
    pylock.define("x", capacity=0)
    hold.convert("shared", timeout=0)
    assert [holder.mode for holder in pylock.inspect("x").holders] == ["shared"]
    hold.release()


def test_closed_lock_lets_its_holders_convert() -> None:
    hold = pylock.lock("x", "shared").acquire()
    pylock.define("x", capacity=0)
    hold.convert("exclusive", timeout=0)
    hold.convert("shared", timeout=0)
    hold.release()
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x", "shared").acquire_nowait()


def test_conversion_on_a_closed_lock_waits_for_who_is_in_the_way_and_no_longer(executor: ThreadPoolExecutor) -> None:
    hold, other = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    pylock.define("x", capacity=0)
    converting = executor.submit(hold.convert, "exclusive", 20)
    waiting("x", 1)
    other.release()
    converting.result(10)
    hold.release()


@pytest.mark.parametrize("mode", ["CR", "CW", "PR", "PW", "EX"])
def test_null_hold_cannot_slip_into_a_closed_lock(mode: str) -> None:
    hold = pylock.lock("x", "NL").acquire()
    pylock.define("x", capacity=0)
    with pytest.raises(pylock.LockTimeout, match="closed"):
        hold.convert(mode, timeout=0.02)
    hold.release()


def test_record_of_a_converted_hold_has_its_own_priority(executor: ThreadPoolExecutor) -> None:
    hold = pylock.lock("x", "shared", priority=5, reason="why").acquire()
    hold.convert("exclusive")
    [holder] = pylock.inspect("x").holders
    assert (holder.priority, holder.reason) == (5, "why")
    hold.release()


def test_units_are_counted_after_a_downgrade() -> None:
    hold = pylock.lock("x", "exclusive", capacity=2).acquire()
    hold.convert("shared")
    second = pylock.lock("x", "shared").acquire_nowait()
    with pytest.raises(pylock.WouldBlock, match="2 of 2 units"):
        pylock.lock("x", "shared").acquire_nowait()
    second.release()
    hold.release()


def test_what_cannot_be_converted_is_refused_with_the_reason() -> None:
    with pylock.pool("p", ["a"]) as element, pytest.raises(ValueError, match="is a pool, which stays in its mode"):
        element.convert("exclusive")
    hold = pylock.lock("x").acquire()
    with pytest.raises(ValueError, match="not a lock mode"):
        hold.convert("sideways")
    with pytest.raises(ValueError, match="timeout must be"):
        hold.convert("shared", timeout=-1)
    hold.release()
    with pytest.raises(pylock.NotHeld):
        hold.convert("shared")


def test_upgraders_never_have_it_together_with_anybody(executor: ThreadPoolExecutor) -> None:
    counter = {"value": 0}

    def add(_: int) -> int:
        for _ in range(5):
            while True:
                with pylock.lock("x", "shared") as hold:
                    try:
                        hold.convert("exclusive")
                    except pylock.Deadlock:
                        continue
                    seen = counter["value"]
                    os.sched_yield()
                    counter["value"] = seen + 1
                    break
        return threading.get_ident()

    assert len(list(executor.map(add, range(4)))) == 4
    assert counter["value"] == 20
    until(lambda: not pylock.inspect("x").holders)


def test_of_two_who_convert_the_later_is_told_though_it_looked_before_the_earlier_stood_in_the_queue(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would wait for it comes later than it began: it rings the later one, which else would sleep on."""
    first, second = pylock.lock("x", "shared").acquire(), pylock.lock("x", "shared").acquire()
    entered = threading.Event()
    with by_bells_alone() as sleepers:

        def late(*arguments: Any) -> Ticket:
            if not entered.is_set():
                entered.set()
                until(lambda: sleepers.asleep)
            return Ticket(*arguments)

        monkeypatch.setattr(place, "Ticket", late)
        earlier = executor.submit(first.convert, "exclusive")
        until(entered.is_set)
        later = executor.submit(second.convert, "exclusive")
        with pytest.raises(pylock.Deadlock):
            later.result(5)
        second.release()
        earlier.result(5)
        first.release()
