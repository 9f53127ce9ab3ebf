"""Conversions, cycles, several locks at once, and the kinds of lock: what they leave behind, and whom they wake."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from contender import Contender, until, waiting
from kernel import (
    GATE,
    SEATS,
    UNITS,
    by_bells_alone,
    is_locked,
    lock_bytes,
    path_of,
    read_flock,
    replaced,
    strange_program,
)

import pylock

ENOUGH_FOR_TWO_LOOKS = 0.6
"""Seconds in which a waiter that holds other locks has looked twice for a cycle."""
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


# Conversions


@pytest.mark.parametrize(
    ("before", "after", "joins"),
    [
        ("exclusive", "shared", "shared"),
        ("exclusive", "concurrent_read", "shared"),
        ("exclusive", "null", "exclusive"),
        ("protected_write", "concurrent_write", "concurrent_write"),
        ("exclusive", "concurrent_write", "concurrent_read"),
        ("shared", "concurrent_read", "protected_write"),
    ],
)
def test_downgrade_wakes_those_who_may_join_now(
    before: str, after: str, joins: str, executor: ThreadPoolExecutor
) -> None:
    with by_bells_alone() as sleepers:
        hold = pylock.lock("x", before).acquire()
        joining = executor.submit(pylock.lock("x", joins).acquire, 5)
        until(lambda: sleepers.asleep == 1)
        hold.convert(after)
        joined = joining.result(10)
        joined.release()
    hold.release()


def test_downgrade_wakes_those_who_may_join_over_the_head_of_one_who_may_not(executor: ThreadPoolExecutor) -> None:
    with by_bells_alone() as sleepers:
        hold = pylock.lock("x").acquire()
        first = executor.submit(pylock.lock("x").acquire, 10)
        until(lambda: sleepers.asleep == 1)
        joining = executor.submit(pylock.lock("x", "shared").acquire, 5)
        until(lambda: sleepers.asleep == 2)
        hold.convert("shared")
        joining.result(10).release()
        assert not first.done()
        hold.release()
        first.result(10).release()


# Cycles


def test_converter_inside_other_blocks_does_not_wait_for_its_own_hold(contenders: type[Contender]) -> None:
    """Another holder, who waits for nobody, is in its way, and may leave at any time."""
    other = contenders()
    other.acquire("a", "shared")
    with pylock.lock("b"), pylock.lock("a", "shared") as hold:
        with pytest.raises(pylock.LockTimeout):
            hold.convert("exclusive", timeout=ENOUGH_FOR_TWO_LOOKS)
        other.release()
        hold.convert("exclusive")


def test_converter_that_waits_for_one_who_waits_for_its_block_is_in_a_cycle(contenders: type[Contender]) -> None:
    """The other one holds by a block what is converted, and waits for what the converter holds by another block."""
    other = contenders()
    other.ask("enter", name="a", mode="shared")
    with pylock.lock("b"), pylock.lock("a", "shared") as hold:
        other.start_acquiring("b")
        with pytest.raises(pylock.Deadlock):
            hold.convert("exclusive", timeout=5)
    assert isinstance(other.answer(), int)


class WithElement:
    """A thread that has the first free element of the pool "p" by a block, and then waits for "b"."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._entered = threading.Event()
        self.go_on = threading.Event()
        self.result = executor.submit(self._take)
        self._entered.wait(10)

    def _take(self) -> str:
        with pylock.pool("p"):
            self._entered.set()
            self.go_on.wait(10)
            return outcome(lambda: pylock.lock("b").acquire(5))


def outcome(acquire: Callable[[], pylock.Hold]) -> str:
    try:
        acquire().release()
    except pylock.LockError as error:
        return type(error).__name__
    return "went on"


def test_element_that_was_taken_out_is_not_counted_against_who_waits_for_another(executor: ThreadPoolExecutor) -> None:
    """Its holder waits for us, but what we wait for is held by somebody who may leave: no cycle."""
    pylock.define("p", kind="pool", elements=["old", "new"])
    has_old = WithElement(executor)
    new = pylock.pool("p").acquire()
    pylock.define("p", elements=["new"])
    with pylock.lock("b"):
        has_old.go_on.set()
        waiting("b", 1)
        with pytest.raises(pylock.LockTimeout):
            pylock.pool("p").acquire(ENOUGH_FOR_TWO_LOOKS)
    assert has_old.result.result(10) == "went on"
    new.release()


@pytest.mark.parametrize("old", ["never was", "came back"])
def test_cycle_over_the_last_element_is_found_whatever_becomes_of_one_that_was_taken_out(
    old: str, executor: ThreadPoolExecutor
) -> None:
    pylock.define("p", kind="pool", elements=["new"] if old == "never was" else ["old", "new"])
    taken_out = None if old == "never was" else pylock.pool("p").acquire()
    has_new = WithElement(executor)
    pylock.define("p", elements=["new"])
    if old == "came back":
        taken_out.release()
    with pylock.lock("b"):
        has_new.go_on.set()
        waiting("b", 1)
        mine = outcome(lambda: pylock.pool("p").acquire(1))
    assert sorted([mine, has_new.result.result(10)]) == ["Deadlock", "went on"]


class Two:
    """Two threads of one process, each with a unit of "a" by a block of its own."""

    def __init__(self, executor: ThreadPoolExecutor, what_then: list[Callable[[], str]]) -> None:
        self._meet = threading.Barrier(3)
        self.go_on = threading.Event()
        self.results = [executor.submit(self._take, then) for then in what_then]
        self._meet.wait(10)

    def _take(self, then: Callable[[], None]) -> str:
        with pylock.lock("a", "shared", capacity=2):
            self._meet.wait(10)
            self.go_on.wait(10)
            return then()


def waits_for_b() -> str:
    return outcome(lambda: pylock.lock("b").acquire(10))


def test_of_like_holds_of_one_process_each_belongs_to_one_of_its_waiters(executor: ThreadPoolExecutor) -> None:
    """Both wait for us, so that no unit comes back: a cycle, although each of them has only one of the two."""
    with pylock.lock("b"):
        two = Two(executor, [waits_for_b, waits_for_b])
        two.go_on.set()
        waiting("b", 2)
        mine = outcome(lambda: pylock.lock("a", "shared").acquire(3))
    assert sorted([mine, *(result.result(20) for result in two.results)]) == ["Deadlock", "went on", "went on"]


def test_of_like_holds_of_one_process_one_may_leave(executor: ThreadPoolExecutor) -> None:
    """One of them waits for us, the other for nobody: no cycle."""
    leave = threading.Event()

    def leaves_when_told() -> str:
        leave.wait(20)
        return "left"

    with pylock.lock("b"):
        two = Two(executor, [waits_for_b, leaves_when_told])
        two.go_on.set()
        waiting("b", 1)
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("a", "shared").acquire(ENOUGH_FOR_TWO_LOOKS)
        leave.set()
        pylock.lock("a", "shared").acquire(10).release()
    assert [result.result(20) for result in two.results] == ["went on", "left"]


# Several locks


def failing_release(path: Path) -> Callable[..., Any]:
    """``fcntl``, which fails to let go of this one file."""
    real = fcntl.fcntl

    def call(fd: int, command: int, argument: Any = 0) -> Any:
        if command == fcntl.F_OFD_SETLK and read_flock(argument)[0] == fcntl.F_UNLCK and path_of(fd) == str(path):
            raise OSError(errno.EIO, "the file system fails")
        return real(fd, command, argument)

    return call


def test_release_that_fails_keeps_neither_another_lock_nor_a_number_from_its_end(directory: Path) -> None:
    numbers = pylock.sequence("numbers", transactional=True)
    hold = pylock.all_of(numbers, pylock.lock("z1"), pylock.lock("z2")).acquire()
    assert hold.holds[0].value == 1
    with replaced(fcntl, "fcntl", failing_release(directory / "z2.lock")), pytest.raises(OSError, match="fails"):
        hold.release()
    for name in ("numbers", "z1", "z2"):
        assert not pylock.inspect(name).holders
    with numbers as following:
        assert following.value == 2, "the first was committed"


def test_block_that_fails_lets_go_of_all_although_one_release_fails_too(directory: Path) -> None:
    def body_fails() -> None:
        with pylock.all_of(*(pylock.lock(name) for name in "abc")):
            patch.__enter__()
            raise KeyError("body")

    patch = replaced(fcntl, "fcntl", failing_release(directory / "c.lock"))
    with pytest.raises(KeyError) as caught:
        body_fails()
    patch.__exit__(None, None, None)
    assert "the release" in caught.value.__notes__[0]
    assert not any(lock.holders for lock in pylock.status())


def test_refusal_of_a_later_lock_lets_go_of_those_before_although_one_release_fails(
    directory: Path, contenders: type[Contender]
) -> None:
    for name in "abc":
        pylock.lock(name).acquire().release()
    holder = contenders()
    holder.acquire("c")
    with replaced(fcntl, "fcntl", failing_release(directory / "b.lock")), pytest.raises(pylock.WouldBlock):
        pylock.all_of(*(pylock.lock(name) for name in "abc")).acquire_nowait()
    assert [lock.name for lock in pylock.status() if lock.holders] == ["c"]


# Paths


@pytest.mark.parametrize("mode", ["exclusive", "shared", "concurrent_read"])
def test_who_tries_below_a_closed_level_is_not_seen_as_a_holder_there(mode: str, executor: ThreadPoolExecutor) -> None:
    pylock.define("/a", kind="path", capacity=0)
    waits = executor.submit(pylock.path_lock("/a/b", mode).acquire, 5)
    waiting("/a", 1)
    assert pylock.inspect("/a").holders == ()
    assert not pylock.path_lock("/a").locked()
    pylock.define("/a", capacity=pylock.UNLIMITED)
    waits.result(10).release()


def test_who_tries_below_a_level_that_is_held_leaves_nothing_there(executor: ThreadPoolExecutor) -> None:
    hold = pylock.path_lock("/a").acquire()
    waits = executor.submit(pylock.path_lock("/a/b", "shared").acquire, 5)
    waiting("/a", 1)
    assert [holder.below for holder in pylock.inspect("/a").holders] == [None]
    hold.release()
    waits.result(10).release()


def test_who_tries_below_a_closed_level_has_one_seat_there(directory: Path, executor: ThreadPoolExecutor) -> None:
    """That of its wait; a second one would show it as whoever had that seat before."""
    pylock.define("/a", kind="path", capacity=0)
    path = directory / "%2Fa.lock"
    guesses = itertools.count(1)

    def another_each_time(size: int) -> bytes:
        return next(guesses).to_bytes(size)

    with strange_program(path) as other:
        lock_bytes(other, SEATS, 1)  # so that there is something to guess
        with replaced(os, "urandom", another_each_time):
            waits = executor.submit(pylock.path_lock("/a/b").acquire, 5)
            waiting("/a", 1)
        assert sum(is_locked(path, SEATS + seat) for seat in range(64)) == 2, "that of the strange program is the other"
    pylock.define("/a", capacity=pylock.UNLIMITED)
    waits.result(10).release()


# Sequences and timestamps


@pytest.mark.parametrize("kind", ["sequence", "timestamp"])
def test_who_is_refused_at_the_gate_keeps_no_unit(kind: str, directory: Path, executor: ThreadPoolExecutor) -> None:
    """One who is stopped in the gate keeps others from a value, but they hold nothing meanwhile."""
    lock: pylock.Lock[Any] = (
        pylock.sequence("x", capacity=2) if kind == "sequence" else pylock.timestamp("x", "%H%M%S#ffffff", capacity=2)
    )
    lock.acquire().release()
    path = directory / "x.lock"
    with strange_program(path) as other:
        lock_bytes(other, GATE, 1)
        waits = executor.submit(lock.acquire, 5)
        waiting("x", 1)
        until(lambda: not any(is_locked(path, UNITS + unit) for unit in range(2)))
    waits.result(10).release()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """That of Berlin, where the night of the 27th of October 2024 had each time from 02:00 to 03:00 twice."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", BERLIN)
    time.tzset()
    yield
    monkeypatch.delenv("TZ") if before is None else monkeypatch.setenv("TZ", before)
    time.tzset()


@pytest.fixture
def at(zone: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str | None]:
    def take(format: str, moment: str) -> str | None:
        nanoseconds = int(datetime.fromisoformat(f"2024-10-27T{moment}+00:00").timestamp()) * 10**9
        with replaced(time, "time_ns", lambda: nanoseconds):
            try:
                hold = pylock.timestamp("x", format).acquire_nowait()
            except pylock.WouldBlock:
                return None
            hold.release()
            return hold.value

    return take


WALL, ZONED = "%Y%m%d %H%M%S", "%Y%m%d %H%M%S%z"


def test_format_with_a_zone_does_not_let_one_without_repeat_the_hour(at: Callable[[str, str], str | None]) -> None:
    assert at(WALL, "00:20:00") == "20241027 022000"
    assert at(WALL, "00:59:59") == "20241027 025959"
    assert at(ZONED, "01:10:00") == "20241027 021000+0100"
    assert at(WALL, "01:20:00") is None, "as it was given an hour ago"
    assert at(WALL, "02:00:00") == "20241027 030000"


def test_format_without_a_zone_counts_for_one_with_a_zone(at: Callable[[str, str], str | None]) -> None:
    """A text that spells the zone out is the same as one that is told it."""
    assert at(f"{WALL}+0200", "00:20:00") == "20241027 022000+0200"
    assert at(ZONED, "00:20:00") is None
    assert at(ZONED, "00:20:01") == "20241027 022001+0200"
    assert at(f"{WALL}+0200", "00:20:01") is None


def test_clock_that_is_set_back_gives_no_text_again_in_either_format(at: Callable[[str, str], str | None]) -> None:
    assert at(ZONED, "00:30:00") == "20241027 023000+0200"
    assert at(WALL, "01:40:00") == "20241027 024000"
    assert at(ZONED, "00:30:00") is None
    assert at(ZONED, "01:40:00") is None
    assert at(ZONED, "01:40:01") == "20241027 024001+0100"
