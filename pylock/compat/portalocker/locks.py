"""The locks of portalocker, woken in the order in which they came."""

from __future__ import annotations

import os
from errno import EAGAIN
from itertools import count
from math import inf
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any

from ..real import portalocker
from ..turns import Awaited, Patience, awaited_at, others_wait, wait
from ..watching import holder_of
from .flocking import lock as take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from portalocker import exceptions, utils
    from portalocker.types import Filename
    from portalocker.utils import IOT, LockBase, coalesce
else:
    exceptions, utils = portalocker.exceptions, portalocker.utils
    IOT, LockBase, coalesce = utils.IOT, utils.LockBase, utils.coalesce

SHORTEST_PAUSE = 0.001
"""Of portalocker, in seconds, whatever interval it is asked for."""


class Lock(utils.Lock[IOT]):
    """portalocker's own; it is woken when its turn has come, whoever lets go.

    ``check_interval`` is how late at most a release is noticed that nobody tells: on another host, or by a program on
    portalocker itself that leaves the file open.
    """

    _awaited: IOT | None = None
    """The open file that was found locked."""
    _stands_back = False
    """Whether the next try is left to those who came before."""

    def _timeout_generator(self, timeout: float | None, check_interval: float | None) -> Iterator[int]:
        seconds, interval = _patience_of(self, timeout, check_interval)
        try:
            self._stands_back = seconds > 0 and not self.fail_when_locked
            for attempt in _attempts(seconds, interval, self._wait):
                yield attempt
                self._stands_back = False
        finally:
            self._stands_back = False
            self._awaited = None

    def _wait(self, patience: Patience) -> None:
        fh = self._awaited
        if fh is None:
            sleep(SHORTEST_PAUSE)
        else:
            get_lock = super()._get_lock
            wait(awaited_at(fh.fileno()), lambda: _is_over(lambda: get_lock(fh)), patience)

    def _get_lock(self, fh: IOT) -> IOT:
        self._awaited = fh
        if not self.flags & portalocker.LOCK_NB:
            take(fh, self.flags)
            return fh
        status = os.fstat(fh.fileno())
        if self._stands_back and others_wait(status):
            refusal = BlockingIOError(EAGAIN, os.strerror(EAGAIN))
            raise exceptions.AlreadyLocked(refusal, str(refusal), fh=fh) from refusal
        try:
            return super()._get_lock(fh)
        except exceptions.AlreadyLocked as error:
            error.holder_pid = holder_of(status)
            raise


class RLock(Lock[IOT], utils.RLock[IOT]):
    """portalocker's own, as `Lock`."""


class TemporaryFileLock(Lock[IO[str]], utils.TemporaryFileLock):
    """portalocker's own, as `Lock`."""


class PidFileLock(TemporaryFileLock, utils.PidFileLock):
    """portalocker's own; the lock beside the file waits as `Lock`."""

    @staticmethod
    def _acquire_verified(
        lock: utils.Lock[IO[str]],
        filename: str,
        timeout: float | None,
        check_interval: float | None,
        fail_when_locked: bool | None,
    ) -> IO[str]:
        if lock.fh is not None:
            return utils.PidFileLock._acquire_verified(lock, filename, timeout, check_interval, fail_when_locked)
        ours = Lock(filename, "a", flags=lock.flags)
        fh = utils.PidFileLock._acquire_verified(ours, filename, timeout, check_interval, fail_when_locked)
        lock.fh, ours.fh = fh, None
        return fh


class BoundedSemaphore(utils.BoundedSemaphore):
    """portalocker's own; who waits for any of its files is woken in turn when one of them is let go."""

    _granted = False
    """Whether a file was taken by the wait, and `try_lock` is still to say so."""
    _stands_back = False

    def try_lock(self, filenames: Sequence[Filename]) -> bool:
        if self._granted:
            self._granted = False
            return True
        if self._stands_back and (status := _status(filenames[0])) is not None and others_wait(status):
            return False
        return super().try_lock(filenames) and self._makes_it_ours()

    def _makes_it_ours(self) -> bool:
        """Keep the file that was taken in a `Lock` of the adapter."""
        with self._state_lock:
            if (taken := self.lock) is not None:
                self.lock = Lock(taken.filename, fail_when_locked=True)
                self.lock.fh, taken.fh = taken.fh, None
        return True

    def _timeout_generator(self, timeout: float | None, check_interval: float | None) -> Iterator[int]:
        seconds, interval = _patience_of(self, timeout, check_interval)
        try:
            self._granted, self._stands_back = False, seconds > 0
            for attempt in _attempts(seconds, interval, self._wait):
                yield attempt
                self._stands_back = False
        finally:
            self._stands_back = False

    def _wait(self, patience: Patience) -> None:
        filenames = self.get_filenames()
        status = _status(filenames[0]) if filenames else None
        if status is None:
            sleep(SHORTEST_PAUSE)
        else:
            paths = tuple(map(str, filenames))
            awaited = Awaited(status, paths, f"one of {len(paths)}: {paths[0]}", noisy=True)
            self._granted = wait(awaited, lambda: self.try_lock(filenames), patience)


class NamedBoundedSemaphore(BoundedSemaphore, utils.NamedBoundedSemaphore):
    """portalocker's own, as `BoundedSemaphore`."""


def _patience_of(lock: LockBase[Any], timeout: float | None, check_interval: float | None) -> tuple[float, float]:
    seconds = coalesce(timeout, lock.timeout, 0.0)
    return seconds, max(SHORTEST_PAUSE, coalesce(check_interval, lock.check_interval, 0.0))


def _attempts(seconds: float, interval: float, rest: Callable[[Patience], None]) -> Iterator[int]:
    """As in portalocker, the first one is before the clock starts."""
    yield 0
    deadline = monotonic() + seconds
    patience = Patience(None if deadline == inf else deadline, interval)
    for attempt in count(1):
        if not deadline > monotonic():
            return
        rest(patience)
        yield attempt


def _is_over(attempt: Callable[[], object]) -> bool:
    """Whether the wait is over: by success, or by an error that the next try will meet again."""
    try:
        attempt()
    except exceptions.AlreadyLocked:
        return False
    except Exception:
        return True
    return True


def _status(path: Filename) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
