"""What the adapters need of pylock beyond its public names: the two ways to wait, and a place in a queue as steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pylock

from ..fronts import drive, drive_async

if TYPE_CHECKING:
    from ..fronts import Steps

__all__ = ["drive", "drive_async", "queueing"]


def queueing(lock: pylock.Lock, timeout: float | None) -> Steps[pylock.Hold]:
    """Acquire the lock, in steps that `drive` or `drive_async` takes. Raises as `Lock.acquire`."""
    return lock._acquiring(timeout, True, pylock.LockTimeout)
