"""Whether a hold still is one: what only a look from outside its own descriptor can tell."""

from __future__ import annotations

import os
from errno import EIO, ESTALE

from .._file.byterange import is_free
from .._file.lockfile import Look, is_at
from .attempt import piece_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Pieces, Request


def why_lost(fd: int, request: Request, pieces: Pieces) -> str | None:
    """Return why others do not find the lock held any more; None if they do."""
    if request.directory.remote:
        why = _server_disagrees(fd)
        if why:
            return why
    with Look(request.path, request.directory) as probe:  # which makes the attributes fresh on NFS
        if probe < 0 or not is_at(fd, request.path):
            return "its file was removed or replaced"
        locks = [piece_lock(*piece) for piece in pieces]
        if request.mode.lock is not None:
            locks.append(request.mode.lock)
        if any(is_free(probe, lock) for lock in locks if not request.mode.seated):
            return "it was unlocked through a copy of its descriptor, perhaps in a child that C code forked"
    return None


def _server_disagrees(fd: int) -> str | None:
    """A lost NFSv4 lock shows only as EIO, from a read that really asks the server through this descriptor.

    Source: measured on Linux 6.1, see docs/explanation/nfs.md.
    """
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        os.pread(fd, 1, 0)
    except OSError as error:
        if error.errno == EIO:
            return "the file server gave it up after it could not reach this host"
        if error.errno == ESTALE:
            return "its file was removed on another host"
        raise
    return None
