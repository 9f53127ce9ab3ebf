"""`lock` and `unlock`: the real ones, of which the one waits in turn, and the other wakes the next."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from ..real import portalocker
from ..turns import awaited_at, others_wait, turn_of
from ..watching import is_held_through

if TYPE_CHECKING:
    from portalocker import LockFlags
    from portalocker.types import FileArgument

primitives = portalocker.portalocker
_FOR_EVER = portalocker.LOCK_SH, portalocker.LOCK_EX


def lock(file: FileArgument, flags: LockFlags) -> None:
    """portalocker's own; who waits for ever does so in turn, and the next in turn in the kernel, which wakes it."""
    if flags not in _FOR_EVER or primitives.LOCKER is not fcntl.flock:
        primitives.lock(file, flags)
    elif not _takes(file, flags):
        with turn_of(awaited_at(_descriptor(file))):
            primitives.lock(file, flags)


def unlock(file: FileArgument) -> None:
    """portalocker's own; the next in turn is woken, although the file stays open."""
    primitives.unlock(file)
    _others_wait(_descriptor(file))


def _takes(file: FileArgument, flags: LockFlags) -> bool:
    """Try it, unless others came before; but who holds it already in another mode may be whom they wait for."""
    fd = _descriptor(file)
    if _others_wait(fd) and not is_held_through(fd):
        return False
    try:
        primitives.lock(file, flags | portalocker.LOCK_NB)
    except portalocker.AlreadyLocked:
        return False
    return True


def _others_wait(fd: int) -> bool:
    try:
        return others_wait(os.fstat(fd))
    except OSError:  # portalocker will tell
        return False


def _descriptor(file: FileArgument) -> int:
    return file if isinstance(file, int) else file.fileno()
