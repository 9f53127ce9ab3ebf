"""Who waits for several locks holds none of them: who passes whom, how long at most, and what it costs."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from command import Running
from contender import Contender, until, waiting
from kernel import descriptors_of, is_locked

import pylock
from pylock._acquiring import together
from pylock._acquiring import waiting as waiting_room
from pylock._file.bytemap import YIELDING


def all_of(names: str, **options: Any) -> Any:
    return pylock.all_of(*(pylock.lock(name, **options) for name in names))


def wait_for(executor: ThreadPoolExecutor, names: str, **options: Any) -> Future[Any]:
    """Begin to wait for all of the locks; return once it stands in the queue of each."""
    before = {name: len(pylock.inspect(name).waiters) for name in names}
    future = executor.submit(all_of(names, **options).acquire, 30)
    for name, count in before.items():
        waiting(name, count + 1)
    return future


@pytest.mark.parametrize("busy", ["a", "b", "c"])
def test_who_waits_for_several_locks_keeps_nobody_from_those_that_are_free(
    executor: ThreadPoolExecutor, busy: str
) -> None:
    holder = pylock.lock(busy).acquire()
    job = wait_for(executor, "abc")
    for name in set("abc") - {busy}:
        pylock.lock(name).acquire_nowait().release()
    holder.release()
    job.result(10).release()


@pytest.mark.parametrize("policy", ["fair", "shared-first"])
@pytest.mark.parametrize("closed", ["a", "b"])
def test_a_closed_lock_stops_only_those_who_use_it(
    executor: ThreadPoolExecutor, closed: str, policy: str, directory: Path
) -> None:
    free = ({"a", "b"} - {closed}).pop()
    for name in "ab":
        pylock.define(name, capacity=0 if name == closed else None, policy=policy)
    job = wait_for(executor, "ab")
    until(lambda: is_locked(directory / f"{free}.lock", YIELDING))  # as it does from its first sleep on
    for _ in range(together.ROUNDS + 2):  # as often as they like
        first = pylock.lock(free).acquire_nowait()
        second = executor.submit(pylock.lock(free).acquire, 10)
        waiting(free, 2)
        first.release()
        second.result(10).release()
    assert not job.done()
    pylock.define(closed, capacity=pylock.UNLIMITED)
    job.result(10).release()


def test_bells_pass_on_from_who_cannot_use_the_lock(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks by itself here, so that only a bell can wake."""
    for room in (waiting_room, together):
        monkeypatch.setattr(room, "SAFETY", 60.0)
        monkeypatch.setattr(room, "SAFETY_BEHIND", (60.0,))
    a, b = pylock.lock("a").acquire(), pylock.lock("b").acquire()
    jobs = [wait_for(executor, "ab") for _ in range(3)]
    single = executor.submit(pylock.lock("a").acquire, 30)
    waiting("a", 4)
    a.release()
    got = single.result(5)
    b.release()
    assert not any(job.done() for job in jobs)
    got.release()
    for job in as_completed(jobs, 10):  # as threads they began to wait in any order
        job.result().release()


def test_status_shows_it_as_a_waiter_of_each(contenders: type[Contender]) -> None:
    contender = contenders()
    contender.acquire("b")
    job = Running("run", "a", "--with=b", "--with=c", "--", "true")
    for name in "abc":
        waiting(name, 1)
    assert [pylock.inspect(name).waiters[0].pid for name in "abc"] == [job.pid] * 3
    assert [len(pylock.inspect(name).holders) for name in "abc"] == [0, 1, 0]
    contender.release()
    assert job.end()[0] == 0


@pytest.mark.parametrize("asked", [{}, {"mode": "shared", "capacity": 1}], ids=["exclusive", "counted"])
def test_nobody_passes_for_ever(asked: dict[str, Any], executor: ThreadPoolExecutor) -> None:
    """Of two locks one is always held: after as many rounds as is said the job collects them."""

    def has(name: str) -> bool:
        return job.done() or any(holder.reason == "job" for holder in pylock.inspect(name).holders)

    held = {name: pylock.lock(name, **asked).acquire() for name in "ab"}
    job = wait_for(executor, "ab", reason="job", **asked)
    behind, passed = [], 0
    while not job.done():
        for name in "ab":
            if has(name):
                continue
            following = executor.submit(pylock.lock(name, **asked).acquire, 30)
            waiting(name, 2)
            held.pop(name).release()
            until(lambda following=following, name=name: following.done() or has(name))
            if following.done():
                held[name] = following.result()
                passed += 1
            else:
                behind.append(following)
    job.result().release()
    assert 0 < passed <= 2 * (together.ROUNDS + 1)
    for hold in [*held.values(), *(each.result(10) for each in behind)]:
        hold.release()


def test_readers_that_overlap_for_ever_do_not_keep_it_out(executor: ThreadPoolExecutor) -> None:
    """It insists where it lacks one lock only, as who waits for that one alone."""
    reader = pylock.lock("a", "shared", policy="fair").acquire()
    job = wait_for(executor, "ab", policy="fair")
    until(lambda: not is_granted(pylock.lock("a", "shared", policy="fair")))
    reader.release()
    job.result(10).release()


def is_granted(lock: Any) -> bool:
    try:
        lock.acquire_nowait().release()
    except pylock.WouldBlock:
        return False
    return True


def test_a_hundred_jobs_with_overlapping_pairs_all_come_to_an_end(executor: ThreadPoolExecutor) -> None:
    """Beside them each lock is taken by single ones without a pause, as long as there are jobs."""
    names = "abcde"
    inside = dict.fromkeys(names, 0)
    over = threading.Event()

    def job(seed: int) -> None:
        pair = "".join(random.Random(seed).sample(names, 2))
        with all_of(pair).acquire(60):
            for name in pair:
                inside[name] += 1
                assert inside[name] == 1
            for name in pair:
                inside[name] -= 1

    def hammer(name: str) -> None:
        while not over.is_set():
            with pylock.lock(name):
                assert inside[name] == 0

    hammers = [executor.submit(hammer, name) for name in names]
    jobs = [executor.submit(job, seed) for seed in range(100)]
    try:
        for each in jobs:
            each.result(60)
    finally:
        over.set()
    for each in hammers:
        each.result(60)


def test_closing_one_takes_back_what_was_collected(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "ROUNDS", 0)
    holder = pylock.lock("b").acquire()
    job = executor.submit(all_of("ab").acquire, 30)
    until(lambda: pylock.inspect("a").holders)
    pylock.define("b", capacity=0)
    until(lambda: not pylock.inspect("a").holders)
    waiting("a", 1)
    pylock.lock("a").acquire_nowait().release()
    pylock.define("b", capacity=pylock.UNLIMITED)
    holder.release()
    job.result(10).release()


def test_what_was_collected_and_granted_may_be_released_by_anybody(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So to wait for it is no deadlock, also not for who has collected it."""

    def collect_and_ask_again() -> None:
        holds = all_of("ab").acquire(30)
        with pytest.raises(pylock.LockTimeout):
            pylock.lock("a").acquire(0.01)
        holds.release()

    monkeypatch.setattr(together, "ROUNDS", 0)
    holder = pylock.lock("b").acquire()
    job = executor.submit(collect_and_ask_again)
    until(lambda: pylock.inspect("a").holders)
    holder.release()
    job.result(10)


@pytest.mark.parametrize("transactional", [True, False])
def test_a_try_in_vain_loses_no_number(executor: ThreadPoolExecutor, transactional: bool) -> None:
    """Two sequences: where the second is not to be had the number of the first goes back."""

    def numbers(name: str) -> pylock.Sequence:
        return pylock.sequence(name, transactional=transactional)

    busy = numbers("t").acquire()
    for timeout in (0, 0.02):
        with pytest.raises(pylock.LockTimeout):
            pylock.all_of(numbers("s"), numbers("t")).acquire(timeout)
    busy.release()
    with pylock.all_of(numbers("s"), numbers("t")) as holds:
        assert [hold.value for hold in holds.holds] == [1, 2]


def test_a_killed_job_leaves_every_queue(contenders: type[Contender]) -> None:
    holder = pylock.lock("b").acquire()
    job = Running("run", "a", "--with=b", "--", "true")
    for name in "ab":
        waiting(name, 1)
    job.close()
    assert [pylock.inspect(name).waiters for name in "ab"] == [(), ()]
    holder.release()


# What wakes it, where nobody looks by itself


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what happens wakes a waiter, as its looks come a minute apart."""
    for room in (waiting_room, together):
        for name in ("SAFETY", "WATCHED"):
            monkeypatch.setattr(room, name, 60.0)
        monkeypatch.setattr(room, "SAFETY_BEHIND", (60.0,))


def several() -> Any:
    return all_of("ab")


def of_paths() -> Any:
    return pylock.path_lock("/a/b")


@pytest.mark.parametrize(
    ("lock", "held", "mode"),
    [
        (several, "a", "exclusive"),
        (several, "b", "exclusive"),
        (several, "b", "shared"),
        (several, "b", "concurrent_read"),
        (of_paths, "/a", "exclusive"),
        (of_paths, "/a/b", "exclusive"),
        (of_paths, "/a/b/c", "exclusive"),
        (of_paths, "/a/b/c", "shared"),
    ],
)
@pytest.mark.usefixtures("nobody_looks")
def test_holder_that_is_killed_wakes_who_waits_for_several(
    lock: Callable[[], Any], held: str, mode: str, executor: ThreadPoolExecutor, contenders: type[Contender],
    directory: Path,
) -> None:  # fmt: skip
    holder = contenders()
    assert holder.acquire(held, mode, kind="path_lock" if lock is of_paths else "lock") > 0
    job = executor.submit(lock().acquire, 60)
    until(lambda: any(path.is_fifo() for path in directory.rglob("*")))
    holder.kill()
    job.result(10).release()


@pytest.mark.usefixtures("nobody_looks")
def test_waiter_that_is_killed_lets_who_waits_for_several_move_up(
    executor: ThreadPoolExecutor, contenders: type[Contender]
) -> None:
    sharing, first = contenders(), contenders()
    assert sharing.acquire("a", "shared", policy="fair")
    first.start_acquiring("a", policy="fair")
    waiting("a", 1)
    job = wait_for(executor, "ab", mode="shared", policy="fair")
    assert not job.done()
    first.kill()
    job.result(10).release()


@pytest.mark.usefixtures("nobody_looks")
def test_who_waits_for_several_passes_a_stopped_waiter(
    executor: ThreadPoolExecutor, contenders: type[Contender]
) -> None:
    holder, stopped = contenders(), contenders()
    holder.acquire("b")
    stopped.start_acquiring("b")
    waiting("b", 1)
    job = wait_for(executor, "ab")
    stopped.stop()
    holder.release()
    job.result(10).release()
    stopped.go_on()
    assert isinstance(stopped.answer(), int)


@pytest.mark.parametrize("is_own", [True, False], ids=["held by this process", "held by another"])
def test_idle_it_looks_once_a_second(
    is_own: bool, contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    looks: list[object] = []
    look = together._Waiter._take_all
    monkeypatch.setattr(together._Waiter, "_take_all", lambda waiter: looks.append(waiter) or look(waiter))
    with ExitStack() as holding:
        if is_own:
            holding.callback(pylock.lock("b").acquire().release)
        else:
            contenders().acquire("b")
        with pytest.raises(pylock.LockTimeout):
            all_of("abc").acquire(0.8)
    assert 1 <= len(looks) <= 3  # the first, one as it begins to listen, and that at the end of its time


def test_it_takes_few_descriptors_to_listen(
    executor: ThreadPoolExecutor, contenders: type[Contender], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than so many it hears none, and looks by itself."""
    monkeypatch.setattr(together, "MOST_HEARD", 1)
    one, other = contenders(), contenders()
    one.acquire("a")
    other.acquire("b")
    looked = threading.Event()
    listens = together._Waiter._listens

    def listen(*arguments: Any) -> bool:
        heard = listens(*arguments)
        looked.set()
        return heard

    monkeypatch.setattr(together._Waiter, "_listens", listen)
    job = executor.submit(all_of("ab").acquire, 30)
    assert looked.wait(10)
    assert descriptors_of("anon_inode:[pidfd]") == []
    one.kill()
    other.release()
    job.result(10).release()
