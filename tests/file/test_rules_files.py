"""Lock files and descriptors: what happens between two steps of somebody who makes, opens or removes one."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command import pylock as run_pylock
from contender import Contender, waiting
from kernel import descriptors_of, failing_once, path_of, replaced

import pylock
from pylock._acquiring import steps

LONGER_THAN_FRESH = 0.02
"""Seconds after which a descriptor that was kept is not used any more."""


class Killed(BaseException):
    """Stands for a death: nothing of what would have come is done, and the descriptors are closed."""


def assert_excludes(name: str, hold: pylock.Hold) -> None:
    """Whether who comes now meets this hold, and not a file of its own."""
    hold.check()
    with pytest.raises(pylock.WouldBlock):
        pylock.lock(name).acquire_nowait()


def when_opened(path: Path, then: Callable[[], object]) -> Callable[..., int]:
    """``os.open``, behind which ``then`` is done once: when the file was opened for the first time."""
    real, waits = os.open, True

    def open_(name: str, *arguments: Any) -> int:
        nonlocal waits
        fd = real(name, *arguments)
        if waits and name == str(path) and not arguments[0] & os.O_CREAT:
            waits = False
            then()
        return fd

    return open_


# Files that are gone


@pytest.mark.parametrize(
    ("module", "name"), [(os, "open"), (os, "pread"), (fcntl, "fcntl")], ids=["open", "read", "lock"]
)
@pytest.mark.parametrize("mode", ["exclusive", "shared", "concurrent_read"])
def test_stale_file_is_opened_anew(mode: str, module: ModuleType, name: str) -> None:
    with pylock.lock("x"):
        pass
    stale = failing_once(getattr(module, name), errno.ESTALE, lambda *_: True)
    with replaced(module, name, stale):
        hold = pylock.lock("x", mode).acquire_nowait()
    hold.check()
    hold.release()


def test_file_that_was_removed_before_it_was_defined_is_not_used(directory: Path) -> None:
    """Two would hold: one the file that has lost its name, one that which has it."""
    path = directory / "x.lock"
    with replaced(os, "open", when_opened(path, path.unlink)):
        hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()


def test_check_finds_another_file_in_place_although_that_is_locked_too(
    directory: Path, contenders: type[Contender]
) -> None:
    other = contenders()
    hold = pylock.lock("x").acquire()
    (directory / "x.lock").rename(directory / "moved")
    other.acquire("x")
    with pytest.raises(pylock.LockLost, match="removed or replaced"):
        hold.check()
    hold.release()


@pytest.mark.parametrize("field", ["inode", "device"])
def test_check_knows_a_file_by_its_inode_and_its_device(field: str) -> None:
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        status = list(real(path))
        status[{"inode": 1, "device": 2}[field]] += 1
        return os.stat_result(status)

    with pylock.lock("x") as hold:
        hold.check()
        with replaced(os, "lstat", lstat), pytest.raises(pylock.LockLost, match="removed or replaced"):
            hold.check()


def test_file_on_a_server_that_calls_it_stale_is_lost() -> None:
    with pylock.lock("x") as hold:
        stale = failing_once(os.lstat, errno.ESTALE, lambda *_: True)
        with replaced(os, "lstat", stale), pytest.raises(pylock.LockLost, match="removed or replaced"):
            hold.check()


# First users


def test_who_finds_the_file_absent_may_find_it_made_by_another(directory: Path) -> None:
    real = os.open

    def slower(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_EXCL:
            os.close(real(path, flags, 0o600))
        return real(path, flags, *mode)

    with replaced(os, "open", slower):
        hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()


def test_who_comes_before_a_new_file_has_its_mode_opens_it_a_moment_later(directory: Path) -> None:
    """Its maker is another user, who has not yet opened it to all whom the directory lets in."""
    path, refusals, real = directory / "x.lock", [1, 2, 3], os.open
    path.touch(0o600)

    def refuse(name: str, *arguments: Any) -> int:
        if name == str(path) and refusals:
            raise PermissionError(errno.EACCES, "not yet", name, refusals.pop())
        return real(name, *arguments)

    with replaced(os, "open", refuse):
        pylock.lock("x").acquire_nowait().release()
    assert not refusals


def test_file_of_others_that_is_in_use_is_refused_at_once(directory: Path) -> None:
    with pylock.lock("x"):
        pass
    real, refused = os.open, []

    def refuse(name: str, *arguments: Any) -> int:
        if name == str(directory / "x.lock"):
            refused.append(name)
            raise PermissionError(errno.EACCES, "never", name)
        return real(name, *arguments)

    with replaced(os, "open", refuse), pytest.raises(PermissionError):
        pylock.lock("x").acquire_nowait()
    assert len(refused) == 1


def test_first_users_who_come_together_all_get_their_turn(contenders: type[Contender]) -> None:
    users = [contenders() for _ in range(4)]
    for number in range(30):
        for user in users:
            user.tell("acquire", name=f"x{number}", mode="shared", capacity=4, policy="fair")
        tokens = [user.answer() for user in users]
        assert all(isinstance(token, int) for token in tokens), tokens


def test_mount_that_has_no_modes_to_change_has_locks_all_the_same() -> None:
    def refuse(fd: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, "no modes here")

    with replaced(os, "fchmod", refuse):
        hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()


def test_nothing_is_written_into_what_is_no_regular_file(directory: Path) -> None:
    """As into a device, which can be locked too."""
    path, real = directory / "x.lock", os.fstat
    path.touch()

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        return os.stat_result([stat.S_IFCHR | 0o600, *list(status)[1:]]) if path_of(fd) == str(path) else status

    with replaced(os, "fstat", fstat), pytest.raises(pylock.BadLockFile, match="not a regular file"):
        pylock.lock("x").acquire_nowait()
    assert path.read_bytes() == b""


def test_policy_other_than_that_of_the_lock_is_refused() -> None:
    with pylock.lock("x", policy="fair"):
        pass
    with pytest.raises(pylock.DefinitionMismatch, match="has policy fair, not shared-first as asked here"):
        pylock.lock("x", policy="shared-first").acquire_nowait()
    hold = pylock.lock("x").acquire()
    for timeout in (0, 1):
        with pytest.raises(pylock.DefinitionMismatch, match="policy"):
            pylock.lock("x", policy="shared-first").acquire(timeout)
    hold.release()


# Descriptors


class Clock:
    """The monotonic clock, which stands still; at first at a time at which nothing that others kept is fresh."""

    def __init__(self) -> None:
        self.now = time.monotonic() + LONGER_THAN_FRESH

    def pause(self) -> None:
        self.now += LONGER_THAN_FRESH

    def __call__(self) -> float:
        return self.now


def keep_open(lock: pylock.Lock) -> None:
    """Take it so often in a row that its descriptor is kept for the next time."""
    for _ in range(40):
        lock.acquire().release()


def test_forked_child_does_not_take_a_strange_file_for_the_lock_file_that_its_parent_kept_open(
    directory: Path, tmp_path: Path
) -> None:
    lock = pylock.lock("x")
    with replaced(time, "monotonic", Clock()):
        keep_open(lock)
        assert descriptors_of(directory / "x.lock"), "one was kept"
        strange = tmp_path / "strange"
        strange.write_bytes((directory / "x.lock").read_bytes())
        child = os.fork()
        if not child:
            os._exit(_locks_the_right_file(lock, strange))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _locks_the_right_file(lock: pylock.Lock, strange: Path) -> int:
    """In the child: open the other file under every number that became free, then lock."""
    try:
        opened = [os.open(strange, os.O_RDWR) for _ in range(50)]
        assert_excludes("x", lock.acquire_nowait())
        assert descriptors_of(strange) == sorted(opened)
        return 0
    except BaseException:
        return 1


def test_descriptor_that_was_kept_and_grew_old_is_closed(directory: Path) -> None:
    lock, clock = pylock.lock("x"), Clock()
    with replaced(time, "monotonic", clock):
        for _ in range(3):
            keep_open(lock)
            clock.pause()
        lock.acquire().release()
    assert descriptors_of(directory / "x.lock") == []


def test_descriptors_of_many_locks_that_grew_old_are_closed_for_new_ones(directory: Path) -> None:
    clock = Clock()
    with replaced(time, "monotonic", clock):
        for number in range(40):
            keep_open(pylock.lock(f"x{number}"))
            clock.pause()
        kept = [number for number in range(40) if descriptors_of(directory / f"x{number}.lock")]
    assert len(kept) <= 8
    assert 39 in kept, "there was room for the last one"


# Removal


def leave_file_behind(name: str) -> None:
    with pylock.lock(name):
        pass


def remove(name: str) -> None:
    """Remove the idle lock file, as the last user of a lock does that shall not live on."""
    pylock.lock(name, idle_lifespan=0).acquire().release()


def test_file_that_was_opened_before_its_removal_and_locked_after_it_is_not_used(directory: Path) -> None:
    path = directory / "x.lock"
    leave_file_behind("x")
    with replaced(os, "open", when_opened(path, lambda: remove("x"))):
        hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()


def test_mark_is_in_the_file_before_its_name_goes(directory: Path) -> None:
    """Else who opened it earlier would lock the dead file of a remover who was killed between the two."""
    path = directory / "x.lock"
    leave_file_behind("x")
    real = os.unlink

    def unlink(name: str) -> None:
        real(name)
        raise Killed

    def remover_is_killed() -> None:
        with replaced(os, "unlink", unlink), pytest.raises(Killed):
            remove("x")

    with replaced(os, "open", when_opened(path, remover_is_killed)):
        hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()


def test_file_that_was_marked_by_a_remover_who_was_killed_before_the_removal_is_removed_by_the_next(
    directory: Path,
) -> None:
    leave_file_behind("x")

    def unlink(name: str) -> None:
        raise Killed

    with replaced(os, "unlink", unlink), pytest.raises(Killed):
        remove("x")
    assert b"removed" in (directory / "x.lock").read_bytes()
    hold = pylock.lock("x").acquire_nowait()
    assert_excludes("x", hold)
    hold.release()
    assert b"removed" not in (directory / "x.lock").read_bytes()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY])
def test_file_that_may_not_be_removed_stays_in_use(code: int, directory: Path) -> None:
    """As in a sticky directory, where only the owner may."""
    leave_file_behind("x")

    def refuse(path: str) -> None:
        raise OSError(code, os.strerror(code), path)

    with replaced(os, "unlink", refuse):
        remove("x")
        hold = pylock.lock("x").acquire_nowait()
        assert_excludes("x", hold)
        hold.release()
    assert pylock.inspect("x").path == str(directory / "x.lock")


def test_bell_of_who_waits_is_not_cleaned_away(contenders: type[Contender], directory: Path) -> None:
    waiter, killed = contenders(), contenders()
    with pylock.lock("x"):
        killed.start_acquiring("x")
        waiter.start_acquiring("x")
        bells = {path.name for path in directory.glob("x.lock.*")}
        killed.kill()
        waiting("x", 1)
        assert run_pylock("clean").returncode == 0
        [bell] = {path.name for path in directory.glob("x.lock.*")}
        assert bell in bells
    assert isinstance(waiter.answer(), int)


@pytest.mark.parametrize("what", ["held", "waited for"])
def test_lock_file_in_use_is_not_cleaned_away(what: str, directory: Path, contenders: type[Contender]) -> None:
    user = contenders()
    if what == "held":
        user.acquire("x", "concurrent_read")
    else:
        pylock.define("x", capacity=0)
        user.start_acquiring("x")
    before = (directory / "x.lock").stat().st_ino
    assert run_pylock("clean").returncode == 0
    assert (directory / "x.lock").stat().st_ino == before


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.lock", "4711 of another program\n"), ("x.lock", ""), ("x.lock.3", ""), ("x.lock.3", "precious")],
)
@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_file_of_another_program_is_not_cleaned_away(words: list[str], name: str, text: str, directory: Path) -> None:
    (directory / name).write_text(text)
    assert "nothing to remove" in run_pylock("clean", *words).stdout
    assert (directory / name).read_text() == text


@pytest.mark.parametrize("kind", ["sequence", "timestamp"])
def test_memory_of_values_is_not_cleaned_away(kind: str, directory: Path) -> None:
    """It would give them once more."""
    lock: pylock.Lock[Any] = pylock.sequence("x") if kind == "sequence" else pylock.timestamp("x", "%H%M%S")
    lock.acquire().release()
    assert run_pylock("clean").returncode == 0
    assert os.listdir(directory) == ["x.lock"]


# Bells


@pytest.mark.parametrize("may_be_opened", [True, False])
def test_file_of_others_in_the_place_of_a_bell_is_neither_written_to_nor_removed(
    may_be_opened: bool, directory: Path
) -> None:
    """Where everybody may make files."""
    directory.chmod(0o1777)
    strange, real = directory / "x.lock.0", os.open
    strange.touch()

    def open_(path: str, *arguments: Any) -> int:
        if path == str(strange) and not may_be_opened:
            raise PermissionError(errno.EACCES, "not yours", path)
        return real(path, *arguments)

    with replaced(os, "open", open_), ThreadPoolExecutor() as pool:
        hold = pylock.lock("x").acquire()
        waits = pool.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        hold.release()
        waits.result(10).release()
    assert strange.read_bytes() == b""


@pytest.mark.parametrize(("mode", "bell"), [(0o700, 0o600), (0o2770, 0o660), (0o1777, 0o666)])
def test_bell_can_be_rung_by_all_who_may_take_the_lock(
    mode: int, bell: int, directory: Path, contenders: type[Contender]
) -> None:
    directory.chmod(mode)
    waiter = contenders()
    with pylock.lock("x"):
        waiter.start_acquiring("x")
        [path] = directory.glob("x.lock.*")
        assert stat.S_IMODE(path.stat().st_mode) == bell | stat.S_ISVTX
    assert isinstance(waiter.answer(), int)


# While somebody waits


def test_file_that_becomes_stale_while_it_is_waited_for_is_opened_anew() -> None:
    with ThreadPoolExecutor() as pool:
        hold = pylock.lock("x").acquire()
        waits = pool.submit(pylock.lock("x").acquire, 5)
        waiting("x", 1)
        with replaced(os, "pread", failing_once(os.pread, errno.ESTALE, lambda *_: True)):
            hold.release()
            waits.result(10).release()


def test_file_that_was_replaced_while_it_was_waited_for_is_waited_for_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch, executor: ThreadPoolExecutor
) -> None:
    """A grant in the old file is none in the new one, where somebody holds and somebody waits."""
    monkeypatch.setattr(steps, "LONG", 0.0)
    old = pylock.lock("x", policy="fair").acquire()
    waits = executor.submit(pylock.lock("x", policy="fair").acquire, 30)
    waiting("x", 1)
    (directory / "x.lock").rename(directory / "old")
    new = pylock.lock("x", policy="fair").acquire()
    others = executor.submit(pylock.lock("x", policy="fair").acquire, 30)
    waiting("x", 1)
    old.release()
    waiting("x", 2)
    assert not waits.done()
    new.release()
    for each in as_completed((others, waits), 20):
        each.result().release()
