"""What the adapters need of pylock beyond its public names: the two ways to wait, and a place in a queue as steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pylock

from .._file.directories import default_path, own_path_or_none
from .._queue.drivers import Finished, advance, drive, drive_async

if TYPE_CHECKING:
    from .._queue.drivers import Steps

__all__ = ["Finished", "advance", "drive", "drive_async", "file_of", "has_queues", "queueing"]

_own_paths: dict[int, str | None] = {}
"""By user; to ask the password database may take longer than a lock."""


def queueing(lock: pylock.Lock, timeout: float | None) -> Steps[pylock.Hold]:
    """Acquire the lock, in steps that `drive` or `drive_async` takes. Raises as `Lock.acquire`."""
    claim = lock.new_claim()
    try:
        if not claim.take():
            yield from lock.steps(claim, timeout, waits_as_task=True)
        return lock.face({lock: claim})
    except BaseException as error:
        claim.give_up(error)
        raise


def file_of(lock: pylock.Lock) -> str:
    """Return the path of the lock file."""
    return lock.request.path


def has_queues() -> bool:
    """Whether the default directory is there; who only asks does not make it. Raises ValueError."""
    path = default_path() or _own_path(os.geteuid())
    return path is not None and os.path.isdir(path)


def _own_path(user: int) -> str | None:
    if user not in _own_paths:
        _own_paths[user] = own_path_or_none()
    return _own_paths[user]
