"""pylock.compat.portalocker: what holds for portalocker holds for it too, and its locks are pylock's."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import environment


@pytest.fixture(params=["portalocker", "pylock.compat.portalocker"])
def package(request: pytest.FixtureRequest) -> Any:
    """The original and ours."""
    return pytest.importorskip(request.param)


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "x"


def is_free(package: Any, path: Path) -> bool:
    """Whether another object gets the lock."""
    try:
        with package.Lock(path, fail_when_locked=True):
            return True
    except package.AlreadyLocked:
        return False


# Like portalocker: locks that open the file


def test_lock_gives_the_open_file_and_excludes_others(package: Any, path: Path) -> None:
    with package.Lock(path, "w", encoding="latin-1") as fh:
        assert (fh.encoding, fh.closed) == ("latin-1", False)
        fh.write("ä")
        assert not is_free(package, path)
    assert fh.closed
    assert path.read_bytes() == b"\xe4"
    assert is_free(package, path)


def test_acquiring_again_gives_the_same_file_and_one_release_ends_it(package: Any, path: Path) -> None:
    lock = package.Lock(str(path))
    fh = lock.acquire()
    assert lock.acquire() is fh is lock.fh
    lock.release()
    assert fh.closed
    assert lock.fh is None
    lock.release()
    assert is_free(package, path)


def test_who_is_refused_does_not_empty_the_file(package: Any, path: Path) -> None:
    path.write_text("data")
    with package.Lock(path, "r"), pytest.raises(package.AlreadyLocked):
        package.Lock(path, "w", fail_when_locked=True).acquire()
    assert path.read_text() == "data"
    with package.Lock(path, "w") as fh:
        fh.write("xx")
        fh.seek(0)
        fh.write("y")
    assert path.read_text() == "yx"


def test_lock_gives_up_after_its_timeout(package: Any, path: Path) -> None:
    begun = time.monotonic()
    with package.Lock(path):
        with pytest.raises(package.AlreadyLocked):
            package.Lock(path, timeout=0.05).acquire()
        with pytest.raises(package.AlreadyLocked):
            package.Lock(path).acquire(timeout=0.05)
    assert 0.1 <= time.monotonic() - begun < 5


def test_who_fails_when_locked_does_not_wait(package: Any, path: Path) -> None:
    with package.Lock(path), pytest.raises(package.LockException) as caught:
        package.Lock(path, timeout=60).acquire(fail_when_locked=True)
    assert isinstance(caught.value, package.AlreadyLocked)
    assert isinstance(caught.value.args[0], BlockingIOError)
    assert caught.value.strerror


def test_settings_can_be_read(package: Any, path: Path) -> None:
    lock = package.Lock(path, "r+", 3, 0.5, True, package.LockFlags.SHARED | package.LockFlags.NON_BLOCKING)
    assert (lock.filename, lock.mode, lock.timeout, lock.check_interval, lock.fail_when_locked) == (
        str(path), "r+", 3, 0.5, True,
    )  # fmt: skip
    assert (lock.flags, lock.truncate, lock.fh) == (package.LOCK_SH | package.LOCK_NB, False, None)
    assert package.Lock(path).timeout == package.utils.DEFAULT_TIMEOUT == 5


def test_shared_locks_of_a_file_go_together(package: Any, path: Path) -> None:
    path.touch()
    shared = package.LOCK_SH | package.LOCK_NB
    with package.Lock(path, "r", flags=shared), package.Lock(path, "r", flags=shared):
        assert not is_free(package, path)


def test_error_of_opening_leaves_the_lock_free(package: Any, path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        package.Lock(path, "r").acquire()
    assert is_free(package, path)
    with pytest.raises(FileNotFoundError):
        package.Lock(path.with_name("no") / "x").acquire()


def test_timeout_of_a_blocking_lock_is_warned_of(package: Any, path: Path) -> None:
    with pytest.warns(UserWarning, match="timeout has no effect"):
        lock = package.Lock(path, timeout=1, flags=package.LOCK_EX)
    with lock:
        assert not is_free(package, path)


def test_file_of_a_dropped_lock_keeps_it_until_it_is_closed(package: Any, path: Path) -> None:
    fh = package.Lock(path).acquire()
    assert not is_free(package, path)
    fh.close()
    assert is_free(package, path)


def test_link_is_locked_as_the_file_it_leads_to(package: Any, path: Path) -> None:
    path.touch()
    link = path.with_name("link")
    link.symlink_to(path)
    with package.Lock(link):
        assert not is_free(package, path)


def test_reentrant_lock_is_free_when_released_as_often_as_acquired(package: Any, path: Path) -> None:
    lock = package.RLock(path)
    with lock as fh:
        with lock as again:
            assert again is fh
        assert not fh.closed
        assert not is_free(package, path)
    assert fh.closed
    assert is_free(package, path)
    with pytest.raises(package.LockException, match="acquired"):
        lock.release()


def test_temporary_file_is_there_only_while_locked(package: Any, path: Path) -> None:
    lock = package.TemporaryFileLock(path)
    with lock:
        assert path.exists()
        with pytest.raises(package.AlreadyLocked):
            package.TemporaryFileLock(path).acquire()
    assert not path.exists()
    path.touch()
    lock.release()
    assert path.exists(), "it belongs to somebody else"


def test_temporary_file_is_removed_when_the_program_ends(package: Any, path: Path) -> None:
    program = f"import {package.__name__} as p; lock = p.TemporaryFileLock({str(path)!r}); lock.acquire()"
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)
    assert not path.exists()


def test_pid_file_tells_who_holds(package: Any, path: Path) -> None:
    lock, other = package.PidFileLock(path), package.PidFileLock(path)
    assert other.read_pid() is None
    with lock as mine:
        assert mine is None
        assert path.read_text() == str(os.getpid())
        with other as pid:
            assert pid == other.read_pid() == os.getpid()
        with pytest.raises(package.AlreadyLocked) as caught, other.fail_closed():
            pass
        assert caught.value.holder_pid == os.getpid()
        assert path.exists()
    assert not path.exists()
    with other.fail_closed():
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1_0", "9" * 21])
def test_what_is_no_pid_is_not_read(package: Any, path: Path, text: str) -> None:
    path.write_text(text)
    assert package.PidFileLock(path).read_pid() is None


@pytest.mark.parametrize("name", ["BoundedSemaphore", "NamedBoundedSemaphore"])
def test_semaphore_has_as_many_holders_as_it_says(package: Any, directory: Path, name: str) -> None:
    def semaphore(**settings: Any) -> Any:
        return getattr(package, name)(2, "pool", directory=str(directory), timeout=0.02, **settings)

    first, second, third = semaphore(), semaphore(), semaphore()
    assert first.acquire() is first.lock is not None
    with second as unit:
        assert unit is second.lock
        with pytest.raises(package.LockException, match="lready"):
            first.acquire()
        with pytest.raises(package.AlreadyLocked):
            third.acquire()
        assert semaphore(fail_when_locked=False).acquire() is None
        assert not third.try_lock(third.get_random_filenames())
    assert third.try_lock(third.get_filenames())
    third.release()
    third.release()
    first.release()
    assert first.lock is None


def test_slots_have_names(package: Any) -> None:
    semaphore = package.NamedBoundedSemaphore(2, "pool", directory="")
    assert [str(path) for path in semaphore.get_filenames()] == ["pool.00.lock", "pool.01.lock"]
    assert sorted(semaphore.get_random_filenames()) == semaphore.get_filenames()
    assert package.NamedBoundedSemaphore(1).name != package.NamedBoundedSemaphore(1).name


def test_semaphore_without_a_name_is_warned_of(package: Any) -> None:
    with pytest.warns(DeprecationWarning, match="NamedBoundedSemaphore"):
        package.BoundedSemaphore(2)


# Like portalocker: locks of open files


def test_unlocked_or_closed_file_is_free(package: Any, path: Path) -> None:
    fh = path.open("w")
    package.lock(fh, package.LOCK_EX)
    package.lock(fh, package.LOCK_EX | package.LOCK_NB)
    assert not is_free(package, path)
    package.unlock(fh)
    assert is_free(package, path)
    package.unlock(fh)
    package.lock(fh, package.LOCK_EX)
    fh.close()
    assert is_free(package, path)
    with path.open() as fh:
        package.lock(fh, package.LOCK_SH)
        assert not is_free(package, path)
    assert is_free(package, path)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_dropped_file_is_free(package: Any, path: Path) -> None:
    fh = path.open("w")
    package.lock(fh, package.LOCK_EX)
    del fh
    assert is_free(package, path)


def test_descriptor_is_locked_like_its_file(package: Any, path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    with path.open() as fh:
        package.lock(fd, package.LOCK_EX)
        with pytest.raises(package.AlreadyLocked) as caught:
            package.lock(fh, package.LOCK_SH | package.LOCK_NB)
        assert caught.value.fh is fh
        package.unlock(fd)
        package.lock(fh, package.LOCK_SH | package.LOCK_NB)
        package.unlock(fh.fileno())
    package.lock(fd, package.LOCK_EX)
    os.close(fd)
    with path.open() as fh:
        package.lock(fh, package.LOCK_SH | package.LOCK_NB)


def test_descriptor_used_again_is_locked_as_what_it_is_now(package: Any, path: Path) -> None:
    other = path.with_name("other")
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    package.lock(fd, package.LOCK_EX)
    os.close(fd)
    assert os.open(other, os.O_RDWR | os.O_CREAT) == fd
    package.lock(fd, package.LOCK_EX)
    assert not is_free(package, other)
    assert is_free(package, path)
    package.unlock(fd)
    os.close(fd)


def test_locking_again_changes_the_mode(package: Any, path: Path) -> None:
    path.touch()
    with path.open() as fh, path.open() as other:
        package.lock(fh, package.LOCK_EX)
        package.lock(fh, package.LOCK_SH)
        package.lock(other, package.LOCK_SH | package.LOCK_NB)
        with pytest.raises(package.AlreadyLocked):
            package.lock(fh, package.LOCK_EX | package.LOCK_NB)


@pytest.mark.parametrize("flags", [0, 4, 3, 8, 8 | 2])
def test_senseless_flags_are_refused(package: Any, path: Path, flags: int) -> None:
    with path.open("w") as fh, pytest.raises(RuntimeError):
        package.lock(fh, package.LockFlags(flags))


def test_closed_descriptor_is_an_error(package: Any, path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.close(fd)
    with pytest.raises(package.LockException, match="Bad file descriptor"):
        package.lock(fd, package.LOCK_EX)


def test_error_can_be_pickled_without_the_file(package: Any, path: Path) -> None:
    with path.open("w") as fh:
        error = package.AlreadyLocked(1, "text", fh=fh, holder_pid=7)
        for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert (other.args, other.strerror, other.holder_pid) == ((1, "text"), "text", 7)
            assert (other.fh, other.fh_name) == (None, str(path))
    assert pickle.loads(pickle.dumps(package.LockException(fh=5))).fh == 5


def test_names_are_where_they_were(package: Any) -> None:
    assert package.exceptions.AlreadyLocked is package.AlreadyLocked
    assert package.constants.LockFlags is package.LockFlags
    assert package.utils.Lock is package.Lock
    assert package.exceptions.BaseLockException.LOCK_FAILED == 1
    assert [int(flag) for flag in (package.LOCK_SH, package.LOCK_EX, package.LOCK_NB, package.LOCK_UN)] == [1, 2, 4, 8]


@pytest.mark.parametrize(("binary", "text"), [(True, b"new"), (False, "new")])
def test_file_written_atomically_appears_at_the_end(package: Any, path: Path, binary: bool, text: Any) -> None:
    with package.open_atomic(path.parent / "sub" / "x", binary) as fh:
        fh.write(text)
        assert not (path.parent / "sub" / "x").exists()
    assert (path.parent / "sub" / "x").read_text() == "new"
    assert [entry.name for entry in (path.parent / "sub").iterdir()] == ["x"]


def test_file_written_atomically_replaces_none(package: Any, path: Path) -> None:
    def write() -> None:
        with package.open_atomic(path) as fh:
            fh.write(b"new")
            path.write_text("old")

    with pytest.raises(FileExistsError):
        write()
    assert path.read_text() == "old"
    unpublished = [entry for entry in path.parent.iterdir() if entry != path]
    assert [entry.read_text() for entry in unpublished] == ["new"]
    with pytest.raises(FileExistsError):
        package.open_atomic(path).__enter__()


def test_file_half_written_is_removed(package: Any, path: Path) -> None:
    def write() -> None:
        with package.open_atomic(path) as fh:
            fh.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert list(path.parent.iterdir()) == []


def test_settings_of_the_module_hold(package: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert package.Lock(path).timeout == package.utils.DEFAULT_TIMEOUT == 5
    monkeypatch.setattr(package.utils, "DEFAULT_TIMEOUT", 0.25)
    assert package.Lock(path).timeout == 0.25
    monkeypatch.undo()
    assert package.Lock(path).timeout == package.utils.DEFAULT_TIMEOUT == 5


def test_lock_of_a_semaphore_is_one_of_the_package(package: Any, directory: Path) -> None:
    with package.NamedBoundedSemaphore(1, "x", directory=str(directory)) as lock:
        assert isinstance(lock, package.Lock)
        assert not package.NamedBoundedSemaphore(1, "x", directory=str(directory)).try_lock([directory / "x.00.lock"])
    assert lock.fh is None
