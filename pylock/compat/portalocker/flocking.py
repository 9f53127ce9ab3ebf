"""`lock`: the real one, which waits in turn."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import portalocker
import portalocker.portalocker as primitives
from portalocker.constants import LockFlags

from ..turns import awaited_at, turn_of

if TYPE_CHECKING:
    from portalocker.types import FileArgument


def lock(file: FileArgument, flags: LockFlags) -> None:
    """portalocker's own; who waits for ever does so in turn, and the next in turn in the kernel, which wakes it."""
    if flags not in (LockFlags.SHARED, LockFlags.EXCLUSIVE) or primitives.LOCKER is not fcntl.flock:
        primitives.lock(file, flags)
        return
    try:
        primitives.lock(file, flags | LockFlags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        with turn_of(awaited_at(_descriptor(file))):
            primitives.lock(file, flags)


def _descriptor(file: FileArgument) -> int:
    return file if isinstance(file, int) else file.fileno()
