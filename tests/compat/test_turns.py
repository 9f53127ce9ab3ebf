"""How the adapters wait: in the order in which they came, woken whoever lets go, and never worse than the packages."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contender import ROOT, until

import pylock
from pylock._file import descriptors
from pylock.compat import filelock, portalocker, turns, watching

from .parties import EXCLUSIVE, READERS, SEMAPHORES, WRITERS, Party, parties

LONG = threading.TIMEOUT_MAX
"""Seconds between two looks of who is to be woken: the longest that the packages take."""
TELLS = [kind for kind in EXCLUSIVE.values() if kind != EXCLUSIVE["portalocker.lock"]]
"""Who closes the file when it lets go, or says so."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.lock")


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Party]:
    """A program on filelock itself that holds the lock."""
    with parties(tmp_path, [EXCLUSIVE["filelock"]]) as (party,):
        assert party.ask("take", 10)
        yield party


def queue() -> list[pylock.LockStatus]:
    return [state for state in pylock.status() if state.holders]


def standing() -> int:
    """How many wait, the next in turn included."""
    return sum(len(state.holders) + len(state.waiters) for state in queue())


def start(call: Callable[[], Any], settles: bool = True) -> Future[Any]:
    """Begin a call that has to wait, and return once it does, and as a rule sleeps until something happens."""
    before = standing()
    threads = list[int]()

    def run() -> Any:
        threads.append(threading.get_native_id())
        return call()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    until(lambda: standing() > before or future.done())
    until(lambda: not settles or rests(threads[0]) or future.done())
    assert not future.done()
    return future


def rests(thread: int) -> bool:
    """Whether the thread does not run for a moment."""

    def switches() -> list[str]:
        status = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
        return [line for line in status if "ctxt_switches" in line]

    before = switches()
    time.sleep(0.02)
    return switches() == before


def take_file_lock(path: str, interval: float = LONG) -> Any:
    lock = filelock.FileLock(path, thread_local=False)
    lock.acquire(timeout=50, poll_interval=interval)
    return lock


def take_async(path: str, interval: float = LONG) -> Any:
    async def main() -> None:
        lock = filelock.AsyncFileLock(path)
        await lock.acquire(timeout=50, poll_interval=interval)
        await lock.release()

    asyncio.run(main())
    return None


def take_open_file(path: str, interval: float = LONG) -> Any:
    lock = portalocker.Lock(path, timeout=50, check_interval=interval)
    lock.acquire()
    return lock


def let_go(waiter: Future[Any]) -> None:
    """See that the lock was granted, and release it."""
    if (lock := waiter.result(20)) is not None:
        lock.release()


WAITERS = [take_file_lock, take_async, take_open_file]


@pytest.mark.parametrize("take", WAITERS)
@pytest.mark.parametrize("kind", TELLS)
def test_release_wakes_who_waits_whoever_lets_go(
    tmp_path: Path, path: str, kind: str, take: Callable[..., Any]
) -> None:
    with parties(tmp_path, [kind]) as (holder,):
        assert holder.ask("take", 10)
        waiter = start(lambda: take(path))
        holder.ask("release")
        let_go(waiter)


@pytest.mark.parametrize("take", WAITERS)
def test_end_of_the_holder_wakes_who_waits(stranger: Party, path: str, take: Callable[..., Any]) -> None:
    waiter = start(lambda: take(path))
    os.kill(stranger.pid, signal.SIGKILL)
    let_go(waiter)


def test_who_waits_for_ever_is_woken(stranger: Party, path: str) -> None:
    waiter = start(lambda: filelock.FileLock(path, thread_local=False).acquire(poll_interval=LONG).lock)
    stranger.ask("release")
    let_go(waiter)


@pytest.mark.parametrize("take", WAITERS)
def test_unlock_that_leaves_the_file_open_is_noticed_after_an_interval(
    tmp_path: Path, path: str, take: Callable[..., Any]
) -> None:
    with parties(tmp_path, [EXCLUSIVE["portalocker.lock"]]) as (holder,):
        assert holder.ask("take", 10)
        waiter = start(lambda: take(path, interval=0.05), settles=False)
        holder.ask("release")
        let_go(waiter)


def test_unlocked_descriptor_wakes_who_waits(path: str) -> None:
    with open(path, "a") as file:
        filelock.lock_descriptor(file.fileno())
        waiter = start(lambda: take_open_file(path))
        filelock.unlock_descriptor(file.fileno())
        let_go(waiter)


def test_who_locks_an_open_file_comes_after_those_who_wait(path: str) -> None:
    with open(path, "a") as file:
        with turns.turn_of(turns.awaited_at(file.fileno())):
            waiter = start(lambda: portalocker.lock(file, portalocker.LOCK_EX))
        waiter.result(20)


def test_who_shares_becomes_the_only_one_although_another_waits_for_that(path: str) -> None:
    """The waiter waits for the shared lock, which is given up as flock(2) says."""
    with open(path, "a") as file:
        portalocker.lock(file, portalocker.LOCK_SH)
        waiter = start(lambda: take_file_lock(path))
        portalocker.lock(file, portalocker.LOCK_EX)
        assert not waiter.done()
        portalocker.unlock(file)
        let_go(waiter)


def test_reader_and_writer_are_woken(tmp_path: Path) -> None:
    with parties(tmp_path, [WRITERS["filelock"]]) as (holder,):
        assert holder.ask("take", 10)
        lock = filelock.ReadWriteLock(tmp_path / "x.lock", is_singleton=False)
        waiter = start(lambda: lock.acquire_read(timeout=50) and lock.release())
        holder.ask("release")
        let_go(waiter)


def test_place_of_a_semaphore_wakes_who_waits(tmp_path: Path) -> None:
    with parties(tmp_path, [SEMAPHORES["portalocker"]] * 2) as holders:
        assert all(holder.ask("take", 10) for holder in holders)
        semaphore = portalocker.NamedBoundedSemaphore(2, "x.lock", directory=str(tmp_path), check_interval=LONG)
        waiter = start(lambda: semaphore.acquire(timeout=50))
        holders[1].ask("release")
        assert waiter.result(20) is not None
        semaphore.release()


def test_those_who_wait_are_served_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    kinds = [EXCLUSIVE[name] for name in ("flock", "filelock adapter", "portalocker adapter", "async filelock adapter")]
    with parties(tmp_path, [*kinds, kinds[1]]) as (holder, *waiters):
        assert holder.ask("take", 10)
        for count, waiter in enumerate(waiters, 1):
            waiter.tell("take", 50)
            until(lambda count=count: standing() == count)
        for waiter in waiters:
            holder.ask("release")
            assert waiter.answer()
            holder = waiter


def test_who_can_wait_lets_those_before_it_go_first(stranger: Party, path: str) -> None:
    first = start(lambda: take_file_lock(path))
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(path).acquire(timeout=0.01)
    status = os.stat(path)
    assert turns.others_wait(status)
    stranger.ask("release")
    let_go(first)
    assert not turns.others_wait(status)


def test_who_does_not_wait_takes_a_free_lock_whoever_waits(stranger: Party, path: str) -> None:
    with turns.turn_of(turns.Awaited(os.stat(path), (path,), path)):
        stranger.ask("release")
        filelock.FileLock(path, blocking=False).acquire().lock.release()
        portalocker.Lock(path, fail_when_locked=True).acquire().close()


def test_stopped_first_does_not_keep_others_from_a_free_lock(
    stranger: Party, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_BEHIND", 0.05)
    with parties(tmp_path, [EXCLUSIVE["filelock adapter"]]) as (first,):
        first.tell("take", 50)
        until(lambda: standing() == 1)
        os.kill(first.pid, signal.SIGSTOP)
        waiter = start(lambda: take_file_lock(path))
        stranger.ask("release")
        let_go(waiter)


def test_killed_first_is_forgotten(stranger: Party, path: str, tmp_path: Path) -> None:
    with parties(tmp_path, [EXCLUSIVE["portalocker adapter"]]) as (first,):
        first.tell("take", 50)
        until(lambda: standing() == 1)
        waiter = start(lambda: take_file_lock(path))
        os.kill(first.pid, signal.SIGKILL)
        stranger.ask("release")
        let_go(waiter)


@pytest.mark.parametrize("take", WAITERS)
def test_without_a_queue_it_waits_at_the_file(
    stranger: Party, path: str, take: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLOCK_DIR", "/nowhere/at/all")
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(take, path, 0.01)
        until(lambda: descriptors._opened or waiter.done())
        stranger.ask("release")
        let_go(waiter)


def test_damaged_queue_keeps_nobody_from_the_lock(stranger: Party, path: str, directory: Path) -> None:
    status = os.stat(path)
    (directory / f"{turns._queue_name(status)}.lock").write_bytes(b"4711\n")
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(take_file_lock, path, 0.01)
        until(lambda: descriptors._opened or waiter.done())
        stranger.ask("release")
        let_go(waiter)


@pytest.mark.parametrize("take", WAITERS)
def test_where_nothing_can_be_watched_it_looks_every_interval(
    stranger: Party, path: str, take: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(flags: int) -> int:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(watching, "_start_watching", refuse)
    monkeypatch.setattr(watching, "_idle", [])
    waiter = start(lambda: take(path, interval=0.01), settles=False)
    stranger.ask("release")
    let_go(waiter)


def test_nothing_is_left_but_the_lock_file(stranger: Party, path: str, tmp_path: Path, directory: Path) -> None:
    waiters = [start(lambda: take_file_lock(path)), start(lambda: take_open_file(path))]
    assert sorted(os.listdir(tmp_path)) == sorted(["locks", "page", "x.lock"])
    stranger.ask("release")
    for waiter in waiters:
        let_go(waiter)
    assert os.path.getsize(path) == 0
    assert os.listdir(directory) == []


def test_text_in_the_lock_file_harms_nobody(path: str) -> None:
    def write_pid(fd: int) -> None:
        os.truncate(fd, 0)
        os.pwrite(fd, b"4711\n", 0)

    with filelock.FileLock(path, on_acquired=write_pid):
        assert Path(path).read_bytes() == b"4711\n"
        waiter = start(lambda: take_file_lock(path))
    let_go(waiter)
    assert Path(path).read_bytes() == b"4711\n"


def test_who_gives_up_is_told_who_holds(stranger: Party, path: str) -> None:
    with pytest.raises(filelock.Timeout) as caught:
        filelock.FileLock(path).acquire(timeout=0.01)
    assert caught.value.__notes__[0].startswith(f'held by pid {stranger.pid} "')
    with pytest.raises(portalocker.AlreadyLocked) as refused:
        portalocker.Lock(path, fail_when_locked=True).acquire()
    assert refused.value.holder_pid == stranger.pid


def test_cancel_check_is_asked_in_the_queue_too(stranger: Party, path: str) -> None:
    first = start(lambda: take_file_lock(path))
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(path).acquire(poll_interval=0.01, cancel_check=lambda: standing() > 1)
    stranger.ask("release")
    let_go(first)


def test_cancelled_task_leaves_nothing_behind(stranger: Party, path: str) -> None:
    async def main() -> None:
        lock = filelock.AsyncFileLock(path)
        task = asyncio.create_task(lock.acquire(poll_interval=LONG))
        while not standing():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not lock.is_locked

    asyncio.run(main())
    assert not standing()
    stranger.ask("release")
    filelock.FileLock(path, blocking=False).acquire().lock.release()


def test_loop_goes_on_while_a_task_waits(stranger: Party, path: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(filelock.AsyncFileLock(path).acquire(poll_interval=LONG))
        while not standing():
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        stranger.tell("release")
        await (await asyncio.wait_for(task, 20)).lock.release()

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:unclosed file")  # of /proc, closed all the same where the handler raises within
def test_interrupted_wait_leaves_nothing_behind(stranger: Party, path: str) -> None:
    class Interrupt(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()
    killer = threading.Thread(target=lambda: until(standing) and signal.pthread_kill(main, signal.SIGUSR1))
    try:
        killer.start()
        with pytest.raises(Interrupt):
            take_file_lock(path)
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)
    assert not standing()
    stranger.ask("release")
    filelock.FileLock(path, blocking=False).acquire().lock.release()


def test_child_that_is_forked_during_a_wait_keeps_nothing_open(stranger: Party, path: str) -> None:
    waiter = start(lambda: take_file_lock(path))
    until(lambda: any(os.path.realpath(f"/proc/self/fd/{fd}") == path for fd in list(descriptors._opened)))
    pid = os.fork()
    if pid == 0:
        held = [fd for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}") == path]
        os._exit(len(held))
    assert os.waitpid(pid, 0)[1] == 0
    stranger.ask("release")
    let_go(waiter)


def test_daemon_goes_on_holding_what_was_locked_before_the_fork(path: str) -> None:
    lock = portalocker.Lock(path, timeout=0)
    fh = lock.acquire()
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(ready, 1)
        lock.release()
        os._exit(0)
    fh.close()
    with pytest.raises(portalocker.AlreadyLocked):
        portalocker.Lock(path, timeout=0.01).acquire()
    os.write(told, b"x")
    portalocker.Lock(path, timeout=20).acquire().close()
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(told)


def test_lock_is_of_the_file_that_was_opened(tmp_path: Path) -> None:
    """As log handlers rotate: the old file stays locked under its new name, and the new one has a lock of its own."""
    log, old = tmp_path / "log", tmp_path / "log.1"
    with open(log, "a") as first:
        portalocker.lock(first, portalocker.LOCK_EX)
        log.rename(old)
        with open(log, "a") as second:
            portalocker.lock(second, portalocker.LOCK_EX)
            with pytest.raises(portalocker.AlreadyLocked):
                portalocker.Lock(old, timeout=0).acquire()


def test_waiter_follows_a_lock_file_that_is_made_anew(path: str, stranger: Party) -> None:
    waiter = start(lambda: take_file_lock(path))
    os.unlink(path)
    let_go(waiter)


@pytest.mark.parametrize("kind", READERS.values())
def test_readers_who_come_and_go_do_not_keep_a_writer_out(tmp_path: Path, kind: str) -> None:
    with parties(tmp_path, [kind] * 3) as readers:
        for reader in readers:
            reader.tell("rush", 30)
        for place in range(len(readers)):
            until(lambda place=place: (tmp_path / "page").read_bytes()[place])  # it is inside
        filelock.ReadWriteLock(tmp_path / "x.lock").acquire_write(timeout=20)


def test_reader_comes_after_a_writer_who_waits(tmp_path: Path) -> None:
    with parties(tmp_path, [READERS["filelock"]]) as (reader,):
        assert reader.ask("take", 10)
        writer, comer = (filelock.ReadWriteLock(tmp_path / "x.lock", is_singleton=False) for _ in range(2))
        waiter = start(lambda: writer.acquire_write(timeout=50) and writer.release())
        with pytest.raises(filelock.Timeout):
            comer.acquire_read(timeout=0.02)
        reader.ask("release")
        let_go(waiter)
        comer.acquire_read(timeout=20)
        with comer.read_lock(timeout=20):  # inside already, whoever waits
            comer.release()


def test_free_lock_leaves_the_directory_of_queues_unmade(path: str, tmp_path: Path) -> None:
    """As nobody has waited there yet."""
    program = (
        "import os, pwd, sys; user = pwd.getpwuid(os.geteuid())\n"
        "pwd.getpwuid = lambda uid: pwd.struct_passwd([*user[:5], sys.argv[2], user[6]])\n"
        "from pylock.compat import filelock, portalocker\n"
        "for lock in (filelock.FileLock(sys.argv[1]), portalocker.Lock(sys.argv[1])):\n"
        "    lock.acquire(); lock.release()"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-c", program, path, str(home)], env=environment, check=True)
    assert os.listdir(home) == []
