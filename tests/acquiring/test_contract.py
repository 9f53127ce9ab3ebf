"""What every lock does, whatever its mode and policy, and whether a thread, a task or a process asks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from contender import Contender, lets_in, until, waiting
from kernel import replaced

import pylock
from pylock import _holds
from pylock._acquiring import attempt
from pylock._acquiring import waiting as waiting_room
from pylock._file import layout
from pylock._modes import ALL
from pylock._queue import tickets

SOLE = ["EX", "PW"]
EVERY_MODE = ["NL", "CR", "CW", "PR", "PW", "EX"]
EXCLUDED_BY_EXCLUSIVE = ["CR", "CW", "PR", "PW", "EX"]

Acquire = Callable[[pylock.Lock], "Future[pylock.Hold]"]


@pytest.fixture(params=["shared-first", "fair"])
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["thread", "task"])
def acquire(request: pytest.FixtureRequest, executor: ThreadPoolExecutor) -> Acquire:
    """Acquire in another thread, or in a task of an event loop in another thread."""
    if request.param == "thread":
        return lambda lock: executor.submit(lock.acquire)
    return lambda lock: executor.submit(lambda: asyncio.run(lock.acquire_async()))


@pytest.mark.parametrize("mode", EVERY_MODE)
def test_free_lock_is_granted_at_once(mode: str, policy: str, acquire: Acquire) -> None:
    lock = pylock.lock("x", mode, policy=policy)
    hold = acquire(lock).result(10)
    assert (hold.name, hold.mode, hold.weight, hold.waited) == ("x", pylock.Mode(mode), 1, 0.0)
    assert lock.held
    hold.release()
    assert not lock.held


@pytest.mark.parametrize("mode", EXCLUDED_BY_EXCLUSIVE)
def test_waiter_is_granted_when_the_holder_releases(mode: str, policy: str, acquire: Acquire) -> None:
    holder = pylock.lock("x", policy=policy).acquire()
    waiter = acquire(pylock.lock("x", mode, policy=policy))
    waiting("x", 1)
    assert not waiter.done()
    holder.release()
    hold = waiter.result(10)
    assert hold.waited > 0
    hold.release()
    assert pylock.inspect("x").waiters == ()


@pytest.mark.parametrize("mode", EXCLUDED_BY_EXCLUSIVE)
def test_waiter_gives_up_after_its_timeout_and_leaves_nothing(
    mode: str, policy: str, acquire: Acquire, directory: Any
) -> None:
    with pylock.lock("x", policy=policy), pytest.raises(pylock.LockTimeout) as caught:
        acquire(pylock.lock("x", mode, policy=policy, timeout=0.05)).result(10)
    assert caught.value.waited >= 0.05
    assert [entry.name for entry in directory.iterdir()] == ["x.lock"]
    assert pylock.inspect("x").waiters == ()


def test_one_object_gives_each_thread_a_hold_of_its_own(executor: ThreadPoolExecutor) -> None:
    lock = pylock.lock("x", "shared")
    inside = threading.Barrier(5)

    def enter() -> tuple[int, int]:
        with lock as hold:
            inside.wait(10)
            return id(hold), sum(1 for _ in pylock.inspect("x").holders)

    seen = [future.result(10) for future in [executor.submit(enter) for _ in range(5)]]
    assert len({identity for identity, _ in seen}) == 5
    assert not lock.held


def test_threads_and_processes_take_turns_on_a_counter(
    policy: str, executor: ThreadPoolExecutor, contenders: type[Contender]
) -> None:
    counter = {"value": 0}

    def add() -> None:
        for _ in range(50):
            with pylock.lock("x", policy=policy):
                seen = counter["value"]
                time.sleep(0)
                counter["value"] = seen + 1

    for future in [executor.submit(add) for _ in range(8)]:
        future.result(60)
    assert counter["value"] == 400


def test_tokens_grow_with_every_sole_grant() -> None:
    tokens = []
    for mode in ["EX", "PW", "EX", "EX"]:
        with pylock.lock("x", mode) as hold:
            tokens.append(hold.token)
    with pylock.lock("x", "shared") as hold:
        assert hold.token == tokens[-1], "a shared hold has the token of the last sole one"
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize("step", [0, -1_000_000, 1_000_000])
def test_tokens_grow_whatever_the_clock_does(step: int) -> None:
    """It stands, it is set back, it goes on: by the clock they grow also over a grant that left no record."""
    clock = layout.now()

    def now() -> int:
        nonlocal clock
        clock += step
        return clock

    before = 0
    with replaced(layout, "now", now):
        for mode in ("EX", "EX", "PW", "EX"):
            with pylock.lock("x", mode) as hold:
                assert hold.token > before + max(step // 2, 0), "one without a record had the clock's"
                before = hold.token


def test_token_goes_on_growing_over_a_removed_file(directory: Any) -> None:
    with pylock.lock("x") as hold:
        before = hold.token
    (directory / "x.lock").unlink()
    with pylock.lock("x") as hold:
        assert hold.token > before


def test_release_twice_is_not_held() -> None:
    lock = pylock.lock("x")
    hold = lock.acquire()
    lock.release()
    with pytest.raises(pylock.NotHeld, match="released"):
        hold.release()
    with pytest.raises(pylock.NotHeld, match="not held through this object"):
        lock.release()


def test_release_lets_go_of_the_latest_hold() -> None:
    lock = pylock.lock("x", "shared")
    first, second = lock.acquire(), lock.acquire()
    lock.release()
    with pytest.raises(pylock.NotHeld):
        second.release()
    first.release()


def test_objects_say_what_they_are() -> None:
    lock = pylock.lock("x")
    assert repr(lock) == '<Lock "x" exclusive not held>'
    with lock:
        assert repr(lock) == '<Lock "x" exclusive held>'
        assert repr(pylock.inspect("x").definition) == "<definition capacity=unlimited policy=shared-first>"
    with pylock.pool("p", ["a"]):
        assert repr(pylock.inspect("p").definition) == "<definition of a pool capacity=1 policy=shared-first>"


def test_lock_does_not_keep_what_was_released() -> None:
    lock = pylock.lock("x", "shared")
    for _ in range(10):
        lock.acquire().release()
        lock.acquire()
        lock.release()
        with lock:
            pass
    assert len(lock._claims) <= 1


@pytest.mark.parametrize("mode", ["CR", "CW", "EX", "PR"])
def test_lock_whose_seats_are_all_taken_is_not_half_had(mode: str) -> None:
    claim = pylock.lock("x", mode).new_claim()
    with replaced(tickets, "take_seat", lambda fd: None):
        if claim.take():
            claim.release()
    assert lets_in("x") == {rule.code for rule in ALL}
    claim.close()


def test_hold_is_a_context_manager_of_its_own() -> None:
    with pylock.lock("x").acquire() as hold:
        assert pylock.lock("x").locked()
        hold.check()
    assert not pylock.lock("x").locked()


def test_dropped_hold_is_released_with_a_warning() -> None:
    with pytest.warns(ResourceWarning, match='"x" was dropped'):
        pylock.lock("x").acquire()
    pylock.lock("x").acquire_nowait().release()


def test_locked_tells_of_anybody_and_makes_no_file(directory: Any, contenders: type[Contender]) -> None:
    lock = pylock.lock("x")
    assert not lock.locked()
    assert list(directory.iterdir()) == []
    contenders().acquire("x", "CR")
    assert lock.locked()
    assert not lock.held


@pytest.mark.parametrize("timeout", [-1, -0.5, float("nan"), "5", True, [1]])
def test_what_is_no_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match=r"timeout must be None .*, not"):
        pylock.lock("x", timeout=timeout)
    with pytest.raises(ValueError, match="timeout must be"):  # though the lock is free
        pylock.lock("x").acquire(timeout)
    with pytest.raises(ValueError, match="timeout must be"):
        asyncio.run(pylock.lock("x").acquire_async(timeout))


def test_timeout_zero_is_one_try() -> None:
    with pylock.lock("x"), pytest.raises(pylock.LockTimeout):
        pylock.lock("x", timeout=0).acquire()
    pylock.lock("x", timeout=0).acquire().release()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": 0}, "weight must be a whole number from 1"),
        ({"weight": 1.5}, "weight must be"),
        ({"capacity": -1}, "capacity must be a whole number from 0"),
        ({"capacity": "5"}, "capacity must be"),
        ({"priority": 64}, "priority must be a whole number from -63 to 63"),
        ({"policy": "lifo"}, "policy must be one of shared-first, fair"),
        ({"mode": "exclusive", "weight": 2}, "weight 2 is for mode shared"),
        ({"mode": "shared", "weight": 3, "capacity": 2}, "can never be had"),
        ({"name": ""}, "must not be empty"),
        ({"directory": ""}, "not the name of a lock directory"),
    ],
)
def test_bad_argument_is_named_before_anything_is_made(arguments: dict[str, Any], message: str, directory: Any) -> None:
    with pytest.raises(ValueError, match=message):
        pylock.lock(**({"name": "x", "mode": "shared"} | arguments))
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("arguments", [{"name": 5}, {"name": None}, {"reason": 5}])
def test_argument_of_a_wrong_type_is_a_type_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="must be a str"):
        pylock.lock(**({"name": "x"} | arguments))


def test_waiter_asks_for_little_cpu() -> None:
    """Safety looks of the first in turn are at most ten a second; nothing else wakes it."""
    with pylock.lock("x"):
        wakeups = 0
        lock = pylock.lock("x", timeout=0.5)
        claim = lock.new_claim()
        assert not claim.take()
        steps = waiting_room.wait(claim.fd, lock.request, time.monotonic() + 0.5)
        _, seconds = next(steps)
        slept = [seconds]
        try:
            while True:
                slept.append(steps.send(False)[1])
                wakeups += 1
                if wakeups == 20:
                    break
        finally:
            steps.close()
            claim.close()
        assert slept[0] <= attempt.PATIENCE, "the first look is soon, to make newcomers queue"
        assert all(seconds >= 0.1 for seconds in slept[1:])


def test_contender_that_ends_without_release_frees_the_lock(contenders: type[Contender]) -> None:
    other = contenders()
    other.acquire("x")
    with pytest.raises(pylock.WouldBlock):
        pylock.lock("x").acquire_nowait()
    other.kill()
    pylock.lock("x").acquire_nowait().release()


def test_killed_holder_hands_over_to_who_waits(executor: ThreadPoolExecutor, contenders: type[Contender]) -> None:
    other = contenders()
    other.acquire("x")
    waiter = executor.submit(pylock.lock("x").acquire)
    waiting("x", 1)
    other.kill()
    waiter.result(10).release()


def test_until_reports_what_it_waits_for() -> None:
    assert until(lambda: 5) == 5


def test_check_of_what_another_thread_releases_or_converts_meanwhile_finds_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold, real = pylock.lock("x").acquire(), _holds.why_lost
    monkeypatch.setattr(_holds, "why_lost", lambda *words: (hold.convert("null"), real(*words))[1])
    hold.check()
    hold.convert("exclusive")
    monkeypatch.setattr(_holds, "why_lost", lambda *words: (hold.release(), real(*words))[1])
    with pytest.raises(pylock.NotHeld):
        hold.check()
