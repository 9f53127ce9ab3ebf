"""The interface of the package portalocker over pylock's locks: a program that comes from there changes one import.

    from pylock.compat import portalocker

The lock of the file ``DIR/BASE`` is the pylock lock BASE in DIR, whose own file is ``DIR/BASE.lock``. What is the same,
what differs and why: docs/how-to/from-portalocker.md. Programs that still use portalocker itself are not excluded: it
locks with flock(2), which byte locks do not see on a local file system.
"""

from __future__ import annotations

import atexit
import os
import random
import stat
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from enum import IntFlag
from errno import EAGAIN, EEXIST, EINVAL
from math import inf
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar
from weakref import WeakSet, ref

import pylock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "LOCK_EX", "LOCK_NB", "LOCK_SH", "LOCK_UN", "AlreadyLocked", "BoundedSemaphore", "Lock", "LockException",
    "LockFlags", "LockLostError", "NamedBoundedSemaphore", "PidFileLock", "RLock", "RedisLock", "TemporaryFileLock",
    "lock", "open_atomic", "unlock",
]  # fmt: skip
__version__ = "4.4.2"
"""Of portalocker: whose interface this is."""
utils: ModuleType = sys.modules[__name__]
exceptions = constants = types = portalocker = utils

Filename = str | Path


class LockFlags(IntFlag):
    """Source: flock(2); the numbers are those of Linux."""

    SHARED = 1
    EXCLUSIVE = 2
    NON_BLOCKING = 4
    UNBLOCK = 8


LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = LockFlags.SHARED, LockFlags.EXCLUSIVE, LockFlags.NON_BLOCKING, LockFlags.UNBLOCK
LOCK_METHOD = LockFlags.EXCLUSIVE | LockFlags.NON_BLOCKING
DEFAULT_TIMEOUT = 5
DEFAULT_CHECK_INTERVAL = 0.25
DEFAULT_FAIL_WHEN_LOCKED = False

_Acquired = TypeVar("_Acquired")


class HasFileno(Protocol):
    def fileno(self) -> int: ...


# Errors
#
#    BaseLockException           fh, fh_name, strerror
#    `-- LockException           anything that went wrong with a lock
#        |-- AlreadyLocked       holder_pid
#        |-- LockLostError       never raised
#        `-- FileToLarge         never raised


class BaseLockException(Exception):
    """The base of all errors here; an open file is left out when it is pickled."""

    LOCK_FAILED: Final = 1

    def __init__(self, *args: object, fh: HasFileno | int | None = None, **fields: object) -> None:
        super().__init__(*args)
        self.fh = fh
        name = getattr(fh, "name", None)
        self.fh_name = name if isinstance(name, str) else None
        self.strerror = args[1] if len(args) > 1 and isinstance(args[1], str) else None

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, object]]:
        return type(self), self.args, vars(self) | {"fh": self.fh if isinstance(self.fh, int) else None}


class LockException(BaseLockException):
    """A lock could not be taken; ``__cause__`` is pylock's own error."""


class AlreadyLocked(LockException):
    """Somebody else holds the lock. ``strerror`` says who."""

    def __init__(self, *args: object, holder_pid: int | None = None, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.holder_pid = holder_pid


class LockLostError(LockException):
    """Never raised."""


class FileToLarge(LockException):
    """Never raised."""


# Locks of open files

_locked: dict[int, _Locked] = {}
"""By descriptor."""


class _Locked(NamedTuple):
    lock: pylock.Lock
    """Of one hold, so that its ``held`` tells whether that lives; in a forked child it does not."""
    file: tuple[int, int]

    def is_of(self, fd: int) -> bool:
        """Whether the descriptor still is that of the locked file; nobody tells when it is closed."""
        try:
            return self.lock.held and self.file == _identity(fd)
        except OSError:
            return False

    def release(self) -> None:
        """Release this lock, if nobody did; the place in `_locked` may be another's by now."""
        with suppress(pylock.NotHeld):
            self.lock.release()


def lock(file: HasFileno | int, flags: LockFlags) -> None:
    """Lock an open file, for ever or, with NON_BLOCKING, at once or not at all.

    `unlock` releases it, closing a file object too; closing a bare descriptor does not. Another mode is taken after
    the first was released, as flock(2) does it. Raises AlreadyLocked, LockException, OSError.
    """
    mode = _mode(flags)
    fd = _descriptor(file)
    for other, locked in list(_locked.items()):
        if not locked.is_of(other) or (other == fd and locked.lock.mode != mode):
            locked.release()
    if fd not in _locked or not _locked[fd].is_of(fd):
        try:
            path = path_of(fd)
        except OSError as error:
            raise LockException(error, str(error), fh=file) from error
        _remember(file, _take(path, mode, 0 if flags & LockFlags.NON_BLOCKING else None, file))


def unlock(file: HasFileno | int) -> None:
    """Release the lock of an open file, if there is one."""
    _release(_descriptor(file))


def path_of(fd: int) -> str:
    """Return the path of an open file. Raises OSError, also if others could not find it by the path."""
    status = os.fstat(fd)
    path = os.readlink(f"/proc/self/fd/{fd}")
    if status.st_nlink == 0 or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(EINVAL, "cannot be locked by its name, as it is no file that has one", path)
    return path


def _mode(flags: LockFlags) -> str:
    kind = flags & ~LockFlags.NON_BLOCKING
    if kind not in (LockFlags.SHARED, LockFlags.EXCLUSIVE):
        raise RuntimeError(f"flags must have either SHARED or EXCLUSIVE, and to release use unlock(); not {flags!r}")
    return "shared" if kind == LockFlags.SHARED else "exclusive"


def _descriptor(file: HasFileno | int) -> int:
    return file if isinstance(file, int) else file.fileno()


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _take(
    path: str, mode: str, timeout: float | None, file: HasFileno | int | None = None, capacity: int | None = None
) -> pylock.Lock:
    """Return a lock that is held once."""
    directory, name = os.path.split(path)
    try:
        taken = pylock.lock(name, mode, capacity=capacity, directory=directory or ".")
        taken.acquire(timeout)
    except pylock.LockTimeout as error:
        raise _already_locked(error, file) from error
    except pylock.LockError as error:
        raise LockException(error, str(error), fh=file) from error
    return taken


def _already_locked(error: pylock.LockTimeout, file: HasFileno | int | None = None) -> AlreadyLocked:
    pid = error.holders[0].pid if error.holders else None
    return AlreadyLocked(BlockingIOError(EAGAIN, str(error)), str(error), fh=file, holder_pid=pid)


def _remember(file: HasFileno | int, taken: pylock.Lock) -> None:
    """Tie the lock to the open file, and if that can tell when it is closed, let go then."""
    fd = _descriptor(file)
    _release(fd)
    locked = _locked[fd] = _Locked(taken, _identity(fd))
    close_file = getattr(type(file), "close", None)
    if close_file is None or not hasattr(file, "__dict__"):
        return
    itself = ref(file)  # a file that holds itself would stay open until the next garbage collection

    def close() -> None:
        try:
            if (here := itself()) is not None:
                close_file(here)
        finally:
            locked.release()

    vars(file)["close"] = close


def _release(fd: int) -> None:
    locked = _locked.pop(fd, None)
    if locked is not None:
        locked.release()


# Locks that open the file


class LockBase(ABC, Generic[_Acquired]):
    """How long to wait. check_interval has no effect: waiting does not poll."""

    def __init__(
        self,
        timeout: float | None = None,
        check_interval: float | None = None,
        fail_when_locked: bool | None = None,
    ) -> None:
        self.timeout = DEFAULT_TIMEOUT if timeout is None else timeout
        self.check_interval = DEFAULT_CHECK_INTERVAL if check_interval is None else check_interval
        self.fail_when_locked = DEFAULT_FAIL_WHEN_LOCKED if fail_when_locked is None else fail_when_locked

    @abstractmethod
    def acquire(
        self,
        timeout: float | None = None,
        check_interval: float | None = None,
        fail_when_locked: bool | None = None,
    ) -> _Acquired: ...

    @abstractmethod
    def release(self) -> None: ...

    def __enter__(self) -> _Acquired:
        return self.acquire()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.release()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and the release failed: {failure}")

    def __delete__(self, instance: object) -> None:
        self.release()

    def _seconds(self, timeout: float | None) -> float | None:
        seconds = self.timeout if timeout is None else timeout
        return None if seconds == inf else max(0, seconds)

    def _fails_when_locked(self, fail_when_locked: bool | None) -> bool:
        return self.fail_when_locked if fail_when_locked is None else fail_when_locked


class Lock(LockBase[IO[Any]]):
    """A lock of a file, which is opened after the lock was granted and closed before it is released.

    mode              of the open file; "w" empties it
    timeout           seconds; None is 5
    fail_when_locked  try once
    flags             without NON_BLOCKING it waits for ever

    raise_on_release_error has no effect: errors of a release are always raised. More keywords are handed to open.
    """

    fh: IO[Any] | None = None

    def __init__(
        self,
        filename: Filename,
        mode: str = "a",
        timeout: float | None = None,
        check_interval: float = DEFAULT_CHECK_INTERVAL,
        fail_when_locked: bool = DEFAULT_FAIL_WHEN_LOCKED,
        flags: LockFlags = LOCK_METHOD,
        *,
        raise_on_release_error: bool = False,
        **file_open_kwargs: Any,
    ) -> None:
        super().__init__(timeout, check_interval, fail_when_locked)
        self.filename = str(filename)
        self.mode = mode
        self.truncate = "w" in mode
        self.flags = flags
        self.raise_on_release_error = raise_on_release_error
        self.file_open_kwargs = file_open_kwargs
        self._taken: pylock.Lock | None = None
        self._warn_of_timeout(timeout)

    def acquire(
        self,
        timeout: float | None = None,
        check_interval: float | None = None,
        fail_when_locked: bool | None = None,
    ) -> IO[Any]:
        """Return the open file; if it is held already, the same. Raises AlreadyLocked, LockException, OSError."""
        self._warn_of_timeout(timeout)
        if self.fh is not None and self._holds():
            return self.fh
        limit = self._limit(timeout, fail_when_locked)
        self._taken = taken = _take(os.path.realpath(self.filename), _mode(self.flags), limit)
        try:
            self.fh = fh = self._open()
            _remember(fh, taken)
        except BaseException:
            taken.release()
            raise
        return fh

    def release(self) -> None:
        """Close the file and release the lock, if it is held."""
        fh, self.fh = self.fh, None
        if fh is not None:
            fh.close()

    def _holds(self) -> bool:
        """Whether the lock is held; a forked child does not inherit it, and closing the file has released it."""
        return self._taken is not None and self._taken.held

    def _open(self) -> IO[Any]:
        return open(self.filename, self.mode, **self.file_open_kwargs)

    def _limit(self, timeout: float | None, fail_when_locked: bool | None) -> float | None:
        if not self.flags & LockFlags.NON_BLOCKING:
            return None
        return 0 if self._fails_when_locked(fail_when_locked) else self._seconds(timeout)

    def _warn_of_timeout(self, timeout: float | None) -> None:
        if timeout is not None and not self.flags & LockFlags.NON_BLOCKING:
            warnings.warn("timeout has no effect without NON_BLOCKING", stacklevel=3)


class RLock(Lock):
    """A lock that the same object can acquire again; it is free when it was released as often."""

    _acquire_count = 0

    def acquire(
        self,
        timeout: float | None = None,
        check_interval: float | None = None,
        fail_when_locked: bool | None = None,
    ) -> IO[Any]:
        count = self._acquire_count if self._holds() else 0
        fh = super().acquire(timeout, check_interval, fail_when_locked)
        self._acquire_count = count + 1
        return fh

    def release(self) -> None:
        """Count down, and release with the last. Raises LockException if it was released as often as acquired."""
        if self._acquire_count == 0:
            raise LockException(f"{self.filename!r} was released as often as it was acquired")
        self._acquire_count -= 1
        if self._acquire_count == 0:
            super().release()


class TemporaryFileLock(Lock):
    """A lock whose file is there only while it is held. The file ``FILENAME.lock`` beside it is pylock's, and stays."""

    _default_filename = ".lock"

    def __init__(
        self,
        filename: Filename | None = None,
        timeout: float | None = None,
        check_interval: float = DEFAULT_CHECK_INTERVAL,
        fail_when_locked: bool = True,
        flags: LockFlags = LOCK_METHOD,
        *,
        raise_on_release_error: bool = False,
    ) -> None:
        super().__init__(
            self._default_filename if filename is None else filename, "w", timeout, check_interval, fail_when_locked,
            flags, raise_on_release_error=raise_on_release_error,
        )  # fmt: skip
        _temporary.add(self)

    def release(self) -> None:
        if self._holds():
            Path(self.filename).unlink(missing_ok=True)
        super().release()


_temporary: WeakSet[TemporaryFileLock] = WeakSet()


@atexit.register
def _remove_files() -> None:
    for temporary in list(_temporary):
        temporary.release()


class PidFileLock(TemporaryFileLock):
    """A lock whose file tells the pid of who holds it.

    ``with`` does not raise AlreadyLocked: it gives the pid of the other holder, and None if the lock was granted.
    """

    _default_filename = ".pid"

    def read_pid(self) -> int | None:
        """Read the pid in the file; None if there is none, or something else."""
        try:
            text = Path(self.filename).read_bytes().strip()
        except OSError:
            return None
        return int(text) or None if text.isdigit() and len(text) <= 20 else None

    def __enter__(self) -> int | None:  # type: ignore[override]
        try:
            self.acquire()
        except AlreadyLocked as error:
            pid = self.read_pid() or error.holder_pid
            if pid is None:
                raise
            return pid
        return None

    @contextmanager
    def fail_closed(self) -> Iterator[None]:
        """Like ``with`` the lock itself, but raises AlreadyLocked if somebody else holds it."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _open(self) -> IO[Any]:
        """Write the pid, so that nobody ever reads half of it, and open the file for reading."""
        unfinished = Path(f"{self.filename}.{os.getpid()}.tmp")
        try:
            unfinished.write_text(str(os.getpid()), "ascii")
            unfinished.replace(self.filename)
        finally:
            unfinished.unlink(missing_ok=True)
        return open(self.filename, encoding="ascii")


class BoundedSemaphore(LockBase["pylock.Lock | None"]):
    """At most ``maximum`` holders at a time: one counted lock, named by name in the directory.

    There are no files of slots, and filename_pattern only serves to name them. Out of time, acquire raises
    AlreadyLocked if fail_when_locked, else it returns None.
    """

    def __init__(
        self,
        maximum: int,
        name: str = "bounded_semaphore",
        filename_pattern: str = "{name}.{number:02d}.lock",
        directory: str = tempfile.gettempdir(),
        timeout: float | None = DEFAULT_TIMEOUT,
        check_interval: float | None = DEFAULT_CHECK_INTERVAL,
        fail_when_locked: bool | None = True,
    ) -> None:
        super().__init__(timeout, check_interval, fail_when_locked)
        self.maximum = maximum
        self.name = name
        self.filename_pattern = filename_pattern
        self.directory = directory
        self._taken: pylock.Lock | None = None
        if not name or name == "bounded_semaphore":
            warnings.warn(
                "BoundedSemaphore without a name shares one with all who give none; use NamedBoundedSemaphore",
                DeprecationWarning,
                stacklevel=2,
            )

    @property
    def lock(self) -> pylock.Lock | None:
        """The lock that is held, if it is."""
        return self._taken if self._taken is not None and self._taken.held else None

    def acquire(
        self,
        timeout: float | None = None,
        check_interval: float | None = None,
        fail_when_locked: bool | None = None,
    ) -> pylock.Lock | None:
        """Wait for a unit. Raises AlreadyLocked, LockException also if this object has one, OSError."""
        if self.lock is not None:
            raise LockException(f"this object has a unit of {self.name!r} already; release it first")
        try:
            path = os.path.join(self.directory, self.name)
            self._taken = _take(path, "shared", self._seconds(timeout), capacity=self.maximum)
        except AlreadyLocked:
            if self._fails_when_locked(fail_when_locked):
                raise
            return None
        return self._taken

    def try_lock(self, filenames: Sequence[Filename]) -> bool:
        """Take a unit if one is free, whatever names are given."""
        return self.acquire(timeout=0, fail_when_locked=False) is not None

    def release(self) -> None:
        """Give the unit back, if there is one."""
        taken, self._taken = self.lock, None
        if taken is not None:
            taken.release()

    def get_filename(self, number: int) -> Path:
        """Return what portalocker would call the file of a slot; there is none."""
        return Path(self.directory) / self.filename_pattern.format(name=self.name, number=number)

    def get_filenames(self) -> Sequence[Path]:
        return [self.get_filename(number) for number in range(self.maximum)]

    def get_random_filenames(self) -> Sequence[Path]:
        return random.sample(self.get_filenames(), self.maximum)


class NamedBoundedSemaphore(BoundedSemaphore):
    """The same; without a name it is given one that nobody else has."""

    def __init__(
        self,
        maximum: int,
        name: str | None = None,
        filename_pattern: str = "{name}.{number:02d}.lock",
        directory: str = tempfile.gettempdir(),
        timeout: float | None = DEFAULT_TIMEOUT,
        check_interval: float | None = DEFAULT_CHECK_INTERVAL,
        fail_when_locked: bool | None = True,
    ) -> None:
        name = f"bounded_semaphore.{token_hex(8)}" if name is None else name
        super().__init__(maximum, name, filename_pattern, directory, timeout, check_interval, fail_when_locked)


class RedisLock:
    """Not served: making one raises NotImplementedError."""

    def __init__(self, *args: object, **options: object) -> None:
        raise NotImplementedError(
            "RedisLock: pylock has no Redis; hosts that share a directory share its locks, so use Lock on a file there,"
            " or go on with portalocker's own RedisLock"
        )


# Files


@contextmanager
def open_atomic(filename: Filename, binary: bool = True) -> Iterator[IO[Any]]:
    """Write a new file that appears whole, when the block ends, or not at all.

    Raises FileExistsError if there is one; if only at the end, the text stays in a file that the error names.
    """
    path = Path(filename).absolute()
    if path.exists():
        raise FileExistsError(EEXIST, os.strerror(EEXIST), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{token_hex(8)}.tmp")
    try:
        with open(unfinished, "xb" if binary else "x") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    try:
        path.hardlink_to(unfinished)  # unlike a rename, it fails if the path exists
    except OSError as error:
        error.add_note(f"what was written is in {unfinished}")
        raise
    unfinished.unlink()
