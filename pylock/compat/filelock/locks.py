"""`FileLock`: the real one, woken in the order in which they came."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from threading import TIMEOUT_MAX
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from ..._file.descriptors import close, give_away, open_noted
from ..real import filelock
from ..turns import Awaited, Patience, awaited_at, others_wait, wait
from ..watching import described, holder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from filelock import AcquireWait

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Waiting:
    """One acquire: what it may have to wait for, and what was granted to the wait and is no hold yet."""

    def __init__(self, path: str, wait: AcquireWait) -> None:
        self._path = path
        self.is_cancelled: Callable[[], bool] | None = wait.cancel_check and _once(wait.cancel_check)
        deadline = None if wait.timeout < 0 else monotonic() + wait.start_time + wait.timeout - perf_counter()
        self.patience: Patience = Patience(deadline, wait.poll_interval, self.is_cancelled)
        self._is_willing = wait.blocking and wait.timeout != 0
        self._has_tried = False
        self.awaited: Awaited | None = None
        self._fd = -1
        self.is_granted: bool = False

    def stands_back(self) -> bool:
        """Whether the first try is left to those who came before."""
        if self._has_tried or not self._is_willing:
            return False
        try:
            return others_wait(os.stat(self._path))
        except OSError:
            return False

    def prepare(self) -> bool:
        """Open the file to wait at; False if that cannot be."""
        self.close()
        self._has_tried = True
        try:
            self._fd = open_noted(self._path, _OPEN, mark=False)
            self.awaited = awaited_at(self._fd)
        except OSError:
            self.close()
        return self._fd >= 0

    def attempt(self) -> bool:
        """Take the lock; True also if it is over with this file, because of another at its path or of an error."""
        try:
            if os.path.samestat(os.fstat(self._fd), os.lstat(self._path)):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.is_granted = True
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def hand_over(self, keep: Callable[[int], None]) -> int:
        """Give the descriptor of what was granted to who keeps it."""
        fd = self._fd
        keep(fd)
        give_away(fd)
        self._fd, self.is_granted, self.awaited = -1, False, None
        return fd

    def close(self) -> None:
        fd, self._fd, self.is_granted, self.awaited = self._fd, -1, False, None
        if fd >= 0:
            close(fd)

    def say_who_holds(self, error: filelock.Timeout) -> None:
        if not self._is_willing:
            return
        try:
            pid = holder_of(os.stat(self._path))
        except OSError:
            return
        if pid is not None:
            error.add_note(f"held by {described(pid)}")


class UnixFileLock(filelock.UnixFileLock):
    """filelock's own `FileLock`; it is woken when its turn has come, whoever lets go.

    ``poll_interval`` is how late at most a release is noticed that nobody tells: on another host, or by a program on
    filelock itself that leaves the file open.
    """

    def _poll_until_acquired(self, wait: AcquireWait) -> None:
        with self._while_waiting(wait) as waiting:
            super()._poll_until_acquired(wait._replace(cancel_check=waiting.is_cancelled))

    def _acquire(self) -> None:
        waiting = self._waiting()
        if waiting is not None and waiting.is_granted:
            self._keep(waiting)
        elif waiting is None or not waiting.stands_back():
            super()._acquire()

    def _poll_delay(self, poll_interval: float, attempt: int) -> float:
        """Wait here, so that nothing is left to be waited."""
        waiting = self._prepared()
        if waiting is None or waiting.awaited is None:
            return super()._poll_delay(poll_interval, attempt)
        wait(waiting.awaited, waiting.attempt, waiting.patience)
        return 0.0

    def _prepared(self) -> Waiting | None:
        """What this acquire waits for, unless it has to wait as filelock does."""
        waiting = self._waiting()
        return waiting if waiting and not self._context.soft_fallback and waiting.prepare() else None

    def _keep(self, waiting: Waiting) -> None:
        fd = waiting.hand_over(self._mark_descriptor_pending)
        try:
            self._finalize_locked_fd(fd)
        finally:
            if self._context.lock_file_fd != fd:
                self._mark_descriptor_released()
                os.close(fd)

    def _waiting(self) -> Waiting | None:
        all_waiting: dict[int, Waiting] = vars(self).get("_all_waiting", {})
        return all_waiting.get(id(self._hold_state()))

    @contextmanager
    def _while_waiting(self, wait: AcquireWait) -> Iterator[Waiting]:
        all_waiting: dict[int, Waiting] = vars(self).setdefault("_all_waiting", {})
        key = id(self._hold_state())
        waiting = all_waiting[key] = Waiting(self._lock_path, wait)
        try:
            yield waiting
        except filelock.Timeout as error:
            waiting.say_who_holds(error)
            raise
        finally:
            all_waiting.pop(key, None)
            waiting.close()


FileLock = UnixFileLock


def lock_descriptor(fd: int, *, blocking: bool = True, poll_interval: float = 0.05) -> bool:
    """filelock's own; who waits is woken in turn."""
    if blocking is not True or not _is_interval(poll_interval):
        return filelock.lock_descriptor(fd, blocking=blocking, poll_interval=poll_interval)

    def attempt() -> bool:
        return filelock.lock_descriptor(fd, blocking=False)

    return attempt() or wait(awaited_at(fd), attempt, Patience(None, poll_interval))


def unlock_descriptor(fd: int) -> None:
    """filelock's own; the next in turn is woken, although the file stays open."""
    filelock.unlock_descriptor(fd)
    others_wait(os.fstat(fd))


def _is_interval(seconds: object) -> bool:
    """Whether filelock takes it; else it raises what it raises."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= TIMEOUT_MAX


def _once(is_cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Ask until the answer is yes, and not again after that."""
    cancelled = False

    def ask() -> bool:
        nonlocal cancelled
        cancelled = cancelled or bool(is_cancelled())
        return cancelled

    return ask
