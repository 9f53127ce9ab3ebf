"""pylock.compat.filelock: what holds for filelock holds for it too, and its locks are pylock's."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(params=["filelock", "pylock.compat.filelock"])
def package(request: pytest.FixtureRequest) -> Any:
    """The original and ours."""
    return pytest.importorskip(request.param)


@pytest.fixture
def path(directory: Path) -> str:
    return str(directory / "x.lock")


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def in_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(20)


def fork(call: Callable[[], bool]) -> Callable[[], bool]:
    """Call in a forked child; return what waits for it and tells whether it was true."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if call() else 1)
        finally:
            os._exit(2)
    return lambda: os.waitpid(pid, 0)[1] == 0


def is_free(package: Any, path: str) -> bool:
    """Whether another object gets the lock."""
    try:
        package.FileLock(path, blocking=False).acquire().lock.release()
    except package.Timeout:
        return False
    return True


# Like filelock


def test_lock_is_free_when_it_was_released_as_often_as_acquired(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    with lock as entered:
        assert entered is lock
        with lock.acquire() as proxied:
            assert proxied is lock
            assert (lock.is_locked, lock.lock_counter) == (True, 2)
        assert (lock.is_locked, lock.lock_counter) == (True, 1)
        assert not is_free(package, path)
    assert (lock.is_locked, lock.lock_counter) == (False, 0)
    assert is_free(package, path)


def test_forced_release_ends_all_levels(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    lock.acquire()
    lock.acquire()
    lock.release(force=True)
    assert not lock.is_locked
    assert is_free(package, path)


def test_release_of_a_free_lock_does_nothing(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    lock.release()
    lock.release(force=True)
    assert lock.lock_counter == 0


def test_decorated_function_runs_under_the_lock(package: Any, path: str) -> None:
    lock = package.FileLock(path)

    locked = lock(lambda: lock.is_locked)
    assert locked()
    assert not lock.is_locked


def test_timeout_names_the_file_and_can_be_pickled(package: Any, path: str) -> None:
    begun = time.monotonic()
    with package.FileLock(path), pytest.raises(package.Timeout, match="could not be acquired") as caught:
        package.FileLock(path, timeout=0.05).acquire()
    assert 0.05 <= time.monotonic() - begun < 5
    assert isinstance(caught.value, TimeoutError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.lock_file, str(copy), repr(copy)) == (path, str(caught.value), repr(caught.value))


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"blocking": False}, {"timeout": 9, "blocking": False}])
def test_one_try_does_not_wait(package: Any, path: str, settings: dict[str, Any]) -> None:
    with package.FileLock(path):
        with pytest.raises(package.Timeout):
            package.FileLock(path, **settings).acquire()
        with pytest.raises(package.Timeout):
            package.FileLock(path).acquire(**settings)


def test_settings_can_be_read_and_changed(package: Any, path: str) -> None:
    lock = package.FileLock(Path(path), 7, 0o640, poll_interval=0.5)
    assert (lock.lock_file, lock.timeout, lock.mode, lock.blocking, lock.poll_interval) == (path, 7, 0o640, True, 0.5)
    assert (lock.lifetime, lock.is_singleton, lock.is_thread_local(), lock.has_explicit_mode) == (
        None, False, True, True,
    )  # fmt: skip
    lock.timeout, lock.blocking, lock.poll_interval = 0.01, False, 0.25
    assert (lock.timeout, lock.blocking, lock.poll_interval) == (0.01, False, 0.25)
    assert package.FileLock(path).mode == 0o644
    with pytest.raises(TypeError, match="bool"):
        package.FileLock(path, timeout=True)


def test_each_thread_has_its_own_counter_and_settings(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    with lock:
        lock.timeout = 5
        assert in_thread(lambda: (lock.is_locked, lock.lock_counter, lock.timeout)) == (False, 0, -1)


def test_threads_share_a_lock_that_is_not_thread_local(package: Any, path: str) -> None:
    lock = package.FileLock(path, thread_local=False)
    lock.acquire()
    in_thread(lock.acquire)
    assert lock.lock_counter == 2
    in_thread(lock.release)
    in_thread(lock.release)
    assert is_free(package, path)


def test_thread_that_waits_joins_the_hold_of_its_object(package: Any, path: str) -> None:
    lock = package.FileLock(path, thread_local=False, poll_interval=0.001)
    holder = package.FileLock(path)
    holder.acquire()
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lock.acquire, 20) for _ in range(2)]
        holder.release()
        for each in both:
            each.result(20)
    assert lock.lock_counter == 2
    lock.release(force=True)


def test_shared_object_gives_up_while_another_thread_waits(package: Any, path: str) -> None:
    lock = package.FileLock(path, thread_local=False, poll_interval=0.001)
    with package.FileLock(path), ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        waiter = pool.submit(lock.acquire, cancel_check=stop.is_set)
        with pytest.raises(package.Timeout):
            lock.acquire(timeout=0.02)
        stop.set()
        with pytest.raises(package.Timeout):
            waiter.result(20)


def test_forced_release_frees_what_an_ended_thread_left(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    ended = threading.Thread(target=lock.acquire)
    ended.start()
    ended.join()
    assert not is_free(package, path)
    lock.release(force=True)
    assert is_free(package, path)


def test_cancel_check_ends_the_wait(package: Any, path: str) -> None:
    asked = []

    def is_cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    with package.FileLock(path), pytest.raises(package.Timeout):
        package.FileLock(path, timeout=20, poll_interval=0.01).acquire(cancel_check=is_cancelled)
    assert len(asked) == 3


def test_dropped_object_lets_go(package: Any, path: str) -> None:
    lock = package.FileLock(path)
    lock.acquire()
    assert not is_free(package, path)
    del lock
    assert is_free(package, path)


def test_missing_directory_is_made_when_the_lock_is_taken(package: Any, directory: Path) -> None:
    lock = package.FileLock(directory / "a" / "b" / "x.lock")
    assert not (directory / "a").exists()
    with lock:
        assert (directory / "a" / "b" / "x.lock").exists()


def test_relative_path_is_meant_from_where_the_lock_is_taken(
    package: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = package.FileLock("x.lock")
    monkeypatch.chdir(directory)
    with lock:
        assert (directory / "x.lock").exists()


def test_explicit_mode_is_that_of_the_file(package: Any, path: str) -> None:
    with package.FileLock(path, mode=0o666):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666


def test_singleton_is_one_object_for_a_file(package: Any, path: str, directory: Path) -> None:
    lock = package.FileLock(path, is_singleton=True)
    assert package.FileLock(directory / "." / "x.lock", is_singleton=True) is lock
    assert package.FileLock(path) is not lock
    assert package.SoftFileLock(path, is_singleton=True) is not lock
    with lock, package.FileLock(path, is_singleton=True):
        assert lock.lock_counter == 2
    with pytest.raises(ValueError, match="timeout"):
        package.FileLock(path, timeout=3, is_singleton=True)


def test_thread_that_would_wait_for_itself_is_told(package: Any, path: str) -> None:
    with package.FileLock(path):
        with pytest.raises(RuntimeError, match="Deadlock"):
            package.FileLock(path).acquire()
        with pytest.raises(package.Timeout):
            package.FileLock(path).acquire(timeout=0.01)


def test_forked_child_holds_nothing_and_the_parent_goes_on_holding(package: Any, path: str) -> None:
    lock = package.FileLock(path)

    def child() -> bool:
        free = not lock.is_locked and lock.lock_counter == 0
        lock.release()
        lock.release(force=True)
        return free and not is_free(package, path)

    with lock:
        assert fork(child)()
        assert lock.is_locked
        assert not is_free(package, path)


def test_subclass_may_take_fewer_arguments(package: Any, path: str) -> None:
    class Counted(package.FileLock):  # type: ignore[misc]
        def __init__(self, lock_file: str) -> None:
            super().__init__(lock_file)
            self.count = 0

        def release(self, force: bool = False) -> None:
            self.count += 1
            super().release(force)

    lock = Counted(path)
    with lock, lock.acquire():
        pass
    assert lock.count == 2
    assert is_free(package, path)


def test_error_of_a_release_joins_that_of_the_body_as_the_policy_says(package: Any, path: str) -> None:
    class Failing(package.FileLock):  # type: ignore[misc]
        def release(self, force: bool = False) -> None:
            super().release(force)
            if not force:
                raise OSError("release")

    with pytest.raises(OSError, match="release") as chained, Failing(path):
        raise KeyError("body")
    assert isinstance(chained.value.__context__, KeyError)
    with pytest.raises(BaseExceptionGroup) as grouped, Failing(path, context_error_policy="group"):
        raise KeyError("body")
    assert [type(error) for error in grouped.value.exceptions] == [KeyError, OSError]


def test_lifetime_of_a_native_lock_is_ignored_with_a_warning(package: Any, path: str) -> None:
    with pytest.warns(UserWarning, match="lifetime is ignored"):
        lock = package.FileLock(path, lifetime=1)
    assert lock.lifetime is None


def test_soft_lock_knows_the_pid_of_the_holder(package: Any, path: str) -> None:
    lock = package.SoftFileLock(path)
    assert (lock.pid, lock.is_lock_held_by_us) == (None, False)
    with lock:
        assert (lock.pid, lock.is_lock_held_by_us) == (os.getpid(), True)


@pytest.mark.parametrize("name", ["SoftFileLock", "StrictSoftFileLock", "UnixFileLock"])
def test_every_kind_excludes_its_like(package: Any, path: str, name: str) -> None:
    kind = getattr(package, name)
    assert issubclass(kind, package.BaseFileLock)
    with kind(path), pytest.raises(package.Timeout):
        kind(path, timeout=0).acquire()
    kind(path, timeout=0).acquire().lock.release()


def test_descriptor_is_locked_like_its_path(package: Any, path: str) -> None:
    fd, other = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert package.lock_descriptor(fd)
        assert package.lock_descriptor(fd, blocking=False)
        assert not package.lock_descriptor(other, blocking=False)
        assert not is_free(package, path)
        package.unlock_descriptor(fd)
        assert is_free(package, path)
        package.unlock_descriptor(fd)
    finally:
        os.close(fd)
        os.close(other)
    with pytest.raises(OSError, match="Bad file descriptor"):
        package.lock_descriptor(fd)


# Like filelock, with asyncio


def test_task_acquires_again_and_others_time_out(package: Any, path: str) -> None:
    async def main() -> None:
        lock = package.AsyncFileLock(path)
        async with lock as entered:
            assert entered is lock
            async with await lock.acquire() as proxied:
                assert proxied is lock
                assert lock.lock_counter == 2
            with pytest.raises(package.Timeout) as caught:
                await package.AsyncFileLock(path, timeout=0.02).acquire()
            assert caught.value.lock_file == path
        assert not lock.is_locked
        await lock.release()
        assert is_free(package, path)

    run(main())


def test_tasks_share_the_hold_of_an_object(package: Any, path: str) -> None:
    async def main() -> None:
        lock = package.AsyncFileLock(path, poll_interval=0.001)
        holder = package.AsyncFileLock(path)
        await holder.acquire()
        both = [asyncio.create_task(lock.acquire()) for _ in range(2)]
        with pytest.raises(package.Timeout):
            await lock.acquire(timeout=0.01)
        await holder.release()
        await asyncio.gather(*both)
        assert lock.lock_counter == 2
        await lock.release(force=True)

    run(main())


def test_async_lock_is_not_for_plain_with(package: Any, path: str) -> None:
    with pytest.raises(NotImplementedError), package.AsyncFileLock(path):
        pass


def test_task_that_would_wait_for_itself_is_told(package: Any, path: str) -> None:
    async def main() -> None:
        async with package.AsyncFileLock(path):
            with pytest.raises(RuntimeError, match="Deadlock"):
                await package.AsyncFileLock(path).acquire()
            other = asyncio.create_task(package.AsyncFileLock(path).acquire(timeout=0.01))
            with pytest.raises(package.Timeout):
                await other

    run(main())


@pytest.mark.parametrize("name", ["AsyncSoftFileLock", "AsyncStrictSoftFileLock", "AsyncUnixFileLock"])
def test_every_async_kind_excludes_its_like(package: Any, path: str, name: str) -> None:
    async def main() -> None:
        kind = getattr(package, name)
        assert issubclass(kind, package.BaseAsyncFileLock)
        async with kind(path):
            with pytest.raises(package.Timeout):
                await kind(path, timeout=0, run_in_executor=False).acquire()

    run(main())


# Like filelock, for readers and a writer


def readers_and_writers(package: Any, path: str, count: int) -> list[Any]:
    return [package.ReadWriteLock(path, is_singleton=False) for _ in range(count)]


def test_readers_share_and_a_writer_does_not(package: Any, directory: Path) -> None:
    first, second, third = readers_and_writers(package, str(directory / "rw.db"), 3)
    with first.read_lock(), second.acquire_read() as proxied:
        assert proxied is second
        with pytest.raises(package.Timeout):
            third.acquire_write(timeout=0.02)
    with third.write_lock():
        with pytest.raises(package.Timeout):
            first.acquire_read(blocking=False)
        with pytest.raises(package.Timeout):
            first.acquire_write(timeout=0)
    for lock in (first, second, third):
        lock.close()


def test_reader_acquires_again_but_does_not_become_a_writer(package: Any, directory: Path) -> None:
    path = str(directory / "rw.db")
    lock, other = readers_and_writers(package, path, 2)
    with lock.read_lock(), lock.read_lock(), pytest.raises(RuntimeError):
        lock.acquire_write()
    with lock.write_lock():
        with lock.write_lock():
            pass
        with pytest.raises(RuntimeError):
            lock.acquire_read()
        with pytest.raises(package.Timeout):
            other.acquire_read(timeout=0)
    with pytest.raises(RuntimeError):
        lock.release()
    lock.release(force=True)
    lock.close()
    with pytest.raises(Exception, match="closed"):
        lock.acquire_read()
    other.close()


def test_read_write_lock_is_one_object_for_a_file(package: Any, directory: Path) -> None:
    lock = package.ReadWriteLock(directory / "rw.db")
    assert package.ReadWriteLock.get_lock(directory / "rw.db") is lock
    with pytest.raises(ValueError, match="timeout"):
        package.ReadWriteLock(directory / "rw.db", timeout=3)
    lock.close()


@pytest.mark.parametrize("name", ["AsyncReadWriteLock", "AsyncSoftReadWriteLock"])
def test_each_task_reads_or_writes_for_itself(package: Any, directory: Path, name: str) -> None:
    async def main() -> None:
        lock = getattr(package, name)(str(directory / "rw"))

        async def read() -> None:
            async with lock.read_lock(), await lock.acquire_read():
                pass

        async def write() -> None:
            async with lock.write_lock(timeout=0.05):
                pass

        async with lock.read_lock():
            await asyncio.create_task(read())
            with pytest.raises(package.Timeout):
                await asyncio.create_task(write())
            with pytest.raises(RuntimeError):
                await lock.acquire_write()
        await asyncio.create_task(write())
        with pytest.raises(RuntimeError):
            await lock.release()
        await lock.close()
        with pytest.raises(Exception, match="closed"):
            await lock.acquire_read()

    run(main())


def test_generation_grows_with_every_writer(package: Any, directory: Path) -> None:
    lock = package.SoftReadWriteLock(directory / "rw", heartbeat_interval=5.0)
    assert (lock.generation, lock.compromise) == (None, None)
    seen = []
    for _ in range(2):
        with lock.write_lock():
            seen.append(lock.generation)
            assert lock.compromise is None
    assert seen[0] < seen[1]
    lock.close()
