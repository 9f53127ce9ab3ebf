"""Locks of open files, found by the path of the descriptor."""

from __future__ import annotations

from .errors import Timeout
from .locks import UnixFileLock

_locked: dict[int, UnixFileLock] = {}
"""By descriptor."""


def lock_descriptor(fd: int, *, blocking: bool = True, poll_interval: float = 0.05) -> bool:
    """Take the lock that `FileLock` takes for the path of that open file; False if it is not to be had at once.

    Closing the descriptor does not release it: call `unlock_descriptor`. Raises OSError.
    """
    from ..portalocker import path_of

    path = path_of(fd)
    held = _locked.get(fd)
    if held is not None and held.is_locked and held.lock_file == path:
        return True
    lock = UnixFileLock(path, thread_local=False, blocking=blocking)
    try:
        lock.acquire()
    except Timeout:
        return False
    _locked[fd] = lock
    return True


def unlock_descriptor(fd: int) -> None:
    lock = _locked.pop(fd, None)
    if lock is not None:
        lock.release(force=True)
