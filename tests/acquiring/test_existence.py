"""create=False waits for somebody else to use the lock; an idle lifespan lets it exist a while longer."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from command import Running
from command import pylock as run_pylock
from contender import Contender

import pylock
from pylock._acquiring import existence
from pylock._request import Request


def test_lock_that_nobody_uses_does_not_exist_and_is_not_made(directory: Path) -> None:
    with pytest.raises(pylock.WouldBlock, match="does not exist") as caught:
        pylock.lock("x", create=False).acquire_nowait()
    assert not caught.value.exists
    with pytest.raises(pylock.LockTimeout, match="does not exist"):
        pylock.lock("x", create=False, timeout=0.05).acquire()
    assert list(directory.iterdir()) == []


def test_file_left_by_an_earlier_use_is_no_use() -> None:
    pylock.lock("x").acquire().release()
    with pytest.raises(pylock.WouldBlock, match="does not exist"):
        pylock.lock("x", create=False).acquire_nowait()


def test_lock_in_use_is_asked_for_like_any_other() -> None:
    with pylock.lock("x", "shared"):
        pylock.lock("x", "shared", create=False).acquire_nowait().release()
        with pytest.raises(pylock.WouldBlock, match="held by") as caught:
            pylock.lock("x", create=False).acquire_nowait()
    assert caught.value.exists


def test_who_waits_for_it_to_exist_starts_when_somebody_uses_it(contenders: type[Contender]) -> None:
    with ThreadPoolExecutor() as pool:
        later = pool.submit(pylock.lock("x", "shared", create=False).acquire)
        contender = contenders()
        contender.acquire("x", "shared")
        later.result(10).release()
    contender.kill()
    with pytest.raises(pylock.WouldBlock):  # who waited has left no trace of a use
        pylock.lock("x", create=False).acquire_nowait()


def test_two_who_do_not_create_wait_for_a_third() -> None:
    async def ask() -> None:
        both = [asyncio.create_task(pylock.lock("x", "shared", create=False).acquire_async(10)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in both)
        user = pylock.lock("x", "shared").acquire()
        for task in both:
            (await task).release()
        user.release()

    asyncio.run(ask())


def test_idle_lifespan_keeps_it_existing_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = pylock.lock("x", create=False)
    pylock.lock("x", idle_lifespan=30).acquire().release()
    now = time.time_ns()
    monkeypatch.setattr(existence, "time_ns", lambda: now + 29 * 10**9)
    assert existence.exists(guest.request)
    monkeypatch.setattr(existence, "time_ns", lambda: now + 31 * 10**9)
    assert not existence.exists(guest.request)


def test_longer_idle_life_wins_over_a_later_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pylock.lock("x", idle_lifespan=30).acquire().release()
    pylock.lock("x", idle_lifespan=1).acquire().release()
    now = time.time_ns()
    monkeypatch.setattr(existence, "time_ns", lambda: now + 20 * 10**9)
    assert existence.exists(pylock.lock("x", create=False).request)


class Clock:
    """The time of existence, which goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = time.time_ns()
        monkeypatch.setattr(existence, "time_ns", lambda: self._now)

    def go_on(self, seconds: float) -> None:
        self._now += int(seconds * 10**9)


def test_each_use_of_a_guest_begins_the_idle_life_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, guest = Clock(monkeypatch), pylock.lock("x", create=False)
    pylock.lock("x", idle_lifespan=30).acquire().release()
    for _ in range(3):
        clock.go_on(29)
        guest.acquire_nowait().release()
    clock.go_on(31)
    with pytest.raises(pylock.WouldBlock, match="does not exist"):
        guest.acquire_nowait()


def test_shorter_lifespan_renews_the_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pylock.lock("x", idle_lifespan=30).acquire().release()
    clock.go_on(20)
    pylock.lock("x", idle_lifespan=1).acquire().release()
    clock.go_on(29)
    assert existence.exists(pylock.lock("x", create=False).request)


def test_lifespan_of_a_life_that_is_over_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pylock.lock("x", idle_lifespan=30).acquire().release()
    clock.go_on(31)
    pylock.lock("x", idle_lifespan=1).acquire().release()
    clock.go_on(2)
    assert not existence.exists(pylock.lock("x", create=False).request)


def test_lifespan_is_not_forgotten_while_somebody_uses_the_lock(
    monkeypatch: pytest.MonkeyPatch, contenders: type[Contender]
) -> None:
    clock, other = Clock(monkeypatch), contenders()
    pylock.lock("x", "shared", idle_lifespan=30).acquire().release()
    other.acquire("x", "shared")
    clock.go_on(31)
    pylock.lock("x", "shared", idle_lifespan=1).acquire().release()
    other.kill()
    clock.go_on(29)
    assert existence.exists(pylock.lock("x", create=False).request)


def test_life_that_begins_while_an_earlier_one_is_forgotten_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, take_gate, meanwhile = Clock(monkeypatch), existence.take_gate, []
    pylock.lock("x", idle_lifespan=1).acquire().release()
    clock.go_on(2)

    def take_gate_after_another_use(fd: int, tries: int) -> bool:
        if not meanwhile:
            meanwhile.append("used")
            pylock.lock("x", idle_lifespan=30).acquire().release()
        return take_gate(fd, tries)

    monkeypatch.setattr(existence, "take_gate", take_gate_after_another_use)
    pylock.lock("x", idle_lifespan=1).acquire().release()
    assert meanwhile
    clock.go_on(29)
    assert existence.exists(pylock.lock("x", create=False).request)


def test_lifespan_may_be_as_long_as_a_number_can_be() -> None:
    pylock.lock("x", idle_lifespan=1e305).acquire().release()
    pylock.lock("x", create=False).acquire_nowait().release()


def test_sequence_and_timestamp_have_an_idle_life_too() -> None:
    with pylock.sequence("numbers", idle_lifespan=60) as first:
        assert first.value == 1
    with pylock.sequence("numbers", create=False) as second:
        assert second.value == 2
    pylock.timestamp("times", "%S#ffffff", idle_lifespan=60).acquire().release()
    pylock.timestamp("times", "%S#ffffff", create=False).acquire_nowait().release()
    with pytest.raises(pylock.WouldBlock, match="does not exist"):
        pylock.sequence("others", create=False).acquire_nowait()


def test_sequence_outlives_an_idle_lifespan_of_nothing() -> None:
    with pylock.sequence("numbers", idle_lifespan=0):
        pass
    with pylock.sequence("numbers", idle_lifespan=0) as hold:
        assert hold.value == 2


def test_of_two_sharers_who_leave_at_once_neither_shortens_the_others_idle_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = pylock.lock("x", "shared", idle_lifespan=1).acquire()
    long = pylock.lock("x", "shared", idle_lifespan=60).acquire()
    look, meanwhile = existence._life, []
    with ThreadPoolExecutor() as pool:

        def look_while_the_other_leaves(fd: int, request: Request) -> tuple[int, int, int]:
            life = look(fd, request)
            if not meanwhile:
                meanwhile.append(pool.submit(long.release))
                wait(meanwhile, 0.02)
            return life

        monkeypatch.setattr(existence, "_life", look_while_the_other_leaves)
        short.release()
    now = time.time_ns()
    monkeypatch.setattr(existence, "time_ns", lambda: now + 30 * 10**9)
    assert existence.exists(pylock.lock("x", "shared").request)


def test_idle_lifespan_zero_removes_the_file_unless_it_is_used(directory: Path) -> None:
    with pylock.lock("x", "shared", idle_lifespan=0):
        with pylock.lock("x", "shared", idle_lifespan=0):
            pass
        assert [entry.name for entry in directory.iterdir()] == ["x.lock"]
    assert list(directory.iterdir()) == []


def test_idle_lifespan_zero_keeps_what_was_defined(directory: Path) -> None:
    pylock.define("x", capacity=3)
    pylock.lock("x", "shared", idle_lifespan=0).acquire().release()
    assert pylock.inspect("x").definition.capacity == 3


def test_removal_and_new_use_never_let_two_in() -> None:
    inside = {"count": 0}

    def use(_: int) -> None:
        for _ in range(20):
            with pylock.lock("x", idle_lifespan=0):
                inside["count"] += 1
                assert inside["count"] == 1
                inside["count"] -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))


def test_path_exists_while_it_or_something_below_is_used() -> None:
    guest = pylock.path_lock("/a/b", "CR", create=False)
    with pytest.raises(pylock.WouldBlock):
        guest.acquire_nowait()
    with pylock.path_lock("/a/b/c", "CR"):
        guest.acquire_nowait().release()


@pytest.mark.parametrize("value", [-1, "5", float("nan"), True])
def test_what_is_no_lifespan_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="idle_lifespan must be None"):
        pylock.lock("x", idle_lifespan=value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="create must be True or False"):
        pylock.lock("x", create="no")  # type: ignore[arg-type]


def test_command_waits_for_use_or_gives_up_at_once() -> None:
    done = run_pylock("run", "--create=no", "-n", "x", "--", "true")
    assert done.returncode == 75
    assert "does not exist" in done.stderr
    waiting = Running("run", "--create", "no", "x", "-s", "--", "echo", "started")
    with pylock.lock("x", "shared"):
        assert waiting.line() == "started"
        assert waiting.end()[0] == 0
    assert run_pylock("run", "--idle-lifespan", "60", "y", "--", "true").returncode == 0
    assert run_pylock("run", "--create=no", "-n", "y", "--", "true").returncode == 0
