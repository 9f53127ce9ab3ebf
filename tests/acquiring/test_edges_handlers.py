"""Signal handlers that raise at any line: no lock stays held, no place in a queue stays taken, nothing is granted."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import pytest
from contender import until
from kernel import by_bells_alone

import pylock
from pylock import _process as process
from pylock._file import descriptors

PACKAGE = str(Path(pylock.__file__).parent)


class Struck(BaseException):
    pass


@contextmanager
def striking(place: int) -> Iterator[list[int]]:
    """Raise where a signal handler may, at the place with that number; the list has an element once it has.

    That is as a function of pylock begins, or has called one in C: there the interpreter looks for signals, and where
    a loop goes on.
    """
    seen = itertools.count()
    struck: list[int] = []

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name != "__del__" and next(seen) == place:
            sys.setprofile(None)
            struck.append(place)
            raise Struck

    sys.setprofile(profile)
    try:
        yield struck
    finally:
        sys.setprofile(None)


def with_block(wanted: Any) -> None:
    with wanted:
        pass


def acquire_and_release(wanted: Any) -> None:
    wanted.acquire().release()


def acquire_in_a_task(wanted: Any) -> None:
    async def main() -> None:
        async with wanted:
            pass

    asyncio.run(main())


MAKERS: dict[str, Callable[[], Any]] = {
    "lock": lambda: pylock.lock("x"),
    "shared": lambda: pylock.lock("x", "shared"),
    "renewing": lambda: pylock.lock("x", idle_lifespan=0),
    "pool": lambda: pylock.pool("x", ["a"]),
    "sequence": lambda: pylock.sequence("x", transactional=True),
    "path": lambda: pylock.path_lock("/x/y"),
    "several": lambda: pylock.all_of(pylock.lock("x"), pylock.lock("y")),
}


@pytest.mark.parametrize("use", [with_block, acquire_and_release, acquire_in_a_task])
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_holds_after_an_exception_at_any_line(kind: str, use: Callable[[Any], None]) -> None:
    use(MAKERS[kind]())
    for place in itertools.count():
        with striking(place) as struck:
            try:
                use(MAKERS[kind]())
            except Struck:
                pass
        if not struck:
            break
        assert is_free(kind), f"is held after an exception at {place}"
    assert place > 20


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", MAKERS)
def test_nobody_holds_after_an_exception_while_a_hold_is_dropped(kind: str) -> None:
    for place in itertools.count():
        hold = MAKERS[kind]().acquire()
        with striking(place) as struck:
            del hold
        assert is_free(kind), f"is held after an exception at {place}"
        if not struck:
            break
    assert place > 3


@pytest.mark.parametrize("kind", ["lock", "shared", "several"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_waits_after_an_exception_at_any_line(kind: str, directory: Path) -> None:
    hold = MAKERS[kind]().acquire() if kind != "shared" else pylock.lock("x").acquire()
    for place in itertools.count():
        with striking(place) as struck:
            try:
                MAKERS[kind]().acquire(0.002)
            except (Struck, pylock.LockTimeout):
                pass
        if not struck:
            break
        assert all(not status.waiters for status in pylock.status()), f"waits after an exception at {place}"
        if list(directory.glob("*.lock.*")):  # as of a waiter that was killed; the next one removes it
            with pytest.raises(pylock.LockTimeout):
                MAKERS[kind]().acquire(0.002)
            assert not list(directory.glob("*.lock.*")), f"has a bell after an exception at {place}"
    assert place > 50
    hold.release()


def is_free(kind: str) -> bool:
    for _ in range(2):
        try:
            MAKERS[kind]().acquire_nowait().release()
            return True
        except pylock.WouldBlock:
            gc.collect()  # what a traceback keeps alive
    return False


def test_stop_iteration_of_a_handler_is_no_grant() -> None:
    """It is what ends the steps of a wait, too."""

    def handler(number: int, frame: object) -> None:
        raise StopIteration

    holder = pylock.lock("x").acquire()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for use in (with_block, acquire_and_release):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises((StopIteration, RuntimeError)):
                use(pylock.lock("x"))
            holder.check()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    holder.release()


def test_locks_between_threads_are_let_go_whenever_a_handler_raises() -> None:
    """Python 3.14 looks for signals between the taking of a lock and the block that would let go of it."""
    lock = process.new_lock()

    def strike(number: int, frame: object) -> None:
        raise Struck

    def take_until_struck() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        while True:
            with lock:
                pass

    before = signal.signal(signal.SIGALRM, strike)
    try:
        for _ in range(200):
            with pytest.raises(Struck):
                take_until_struck()
            assert not lock._is_owned()  # type: ignore[attr-defined]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_who_waits_is_rung_by_an_acquire_that_ends_after_its_grant(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = pylock.lock("x")
    waiters = []

    def strike(*_: object) -> None:
        patch.undo()
        waiters.append(executor.submit(pylock.lock("x").acquire))
        until(lambda: sleepers.asleep)
        raise Struck

    with by_bells_alone() as sleepers, monkeypatch.context() as patch:
        patch.setattr(pylock.Lock, "_face_of", strike)
        with pytest.raises(Struck):
            lock.acquire()
        waiters[0].result(10).release()


def test_hold_is_released_once_though_its_release_is_entered_twice() -> None:
    """As by a signal handler, or by two threads: the second one would unlock what has the number by then."""
    hold = pylock.sequence("x", transactional=True).acquire()
    kind = hold._claim.request.kind
    real, refused = kind.commit, []

    def commit(*arguments: Any) -> None:
        try:
            hold.release()
        except pylock.NotHeld as error:
            refused.append(error)
        real(*arguments)

    with mock.patch.object(type(kind), "commit", staticmethod(commit)):
        hold.release()
    assert len(refused) == 1
    assert is_free("sequence")


@pytest.mark.parametrize("mark", [True, False])
def test_descriptor_is_closed_also_if_a_handler_raises_meanwhile(mark: bool, directory: Path) -> None:
    for place in itertools.count(1):  # at 0 it has not begun
        fd = descriptors.open_noted(str(directory / "x"), os.O_RDWR | os.O_CREAT, 0o600, mark)
        with suppress(Struck), striking(place) as struck:
            descriptors.close(fd)
        assert fd not in descriptors._opened
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        if not struck:
            break
    assert place > 3


def test_fork_lets_go_of_its_locks_wherever_a_handler_raises() -> None:
    """What it raises before a fork is reported and lost, and the fork is done; other threads are not to hang then."""
    locks = [process.loading, process.new_lock()]
    process.hold_over_fork(lambda: locks[1])
    try:
        with ThreadPoolExecutor(1) as thread:
            for place in itertools.count():
                with suppress(Struck), striking(place) as struck:
                    process._before_fork()
                process._after_fork()
                for lock in locks:
                    assert thread.submit(lambda lock=lock: lock.acquire(False) and not lock.release()).result(10), place
                if not struck:
                    break
    finally:
        process._held_over_fork.pop()
    assert place > 3
