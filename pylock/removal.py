"""Removing lock files that nobody uses, and what killed waiters left beside them.

Acquirer A and remover R cannot end up on two files: R.1 locks every byte, R.2 writes "removed" into the header,
R.3 unlinks. If A opened the file before R.3, then A's lock comes after R let go, A reads "removed", and opens the
path again. If R dies between R.2 and R.3, the next one to find a "removed" file in place finishes the removal.
"""

from __future__ import annotations

import os
from stat import S_ISFIFO

from .bytemap import END, SEATS
from .byterange import is_free, try_lock, write_lock
from .errors import BadLockFile
from .lockfile import REMOVED, SUFFIX, Gone, is_at, is_blank, read_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Directory

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_EVERYTHING = write_lock(0, END)


def remove(path: str) -> bool:
    """Remove the lock file if nobody holds it or waits for it; tell whether it was removed."""
    try:
        fd = os.open(path, _OPEN)
    except FileNotFoundError:
        return False
    try:
        if not try_lock(fd, _EVERYTHING) or not is_at(fd, path):
            return False
        os.pwrite(fd, REMOVED, 0)
        os.unlink(path)
        return True
    finally:
        os.close(fd)


def clean(directory: Directory, dry_run: bool = False) -> Iterator[str]:
    """Remove idle lock files and bells without an owner; yield the name of each, with ``dry_run`` removing none.

    On a file system shared with other hosts no lock file is removed: they may go on opening the dead one for half a
    minute. Locks that were defined by hand are kept, as removing them would lose the definition.
    """
    names = sorted(os.listdir(directory.path))
    for name in names:
        lock_name, dot, seat = name.rpartition(".")
        is_bell = dot and seat.isdigit() and lock_name.endswith(SUFFIX)
        if is_bell and _remove_bell(directory.path, lock_name, int(seat), dry_run):
            yield name
    for name in names:
        path = os.path.join(directory.path, name)
        if name.endswith(SUFFIX) and not directory.remote and _is_idle(path) and (dry_run or remove(path)):
            yield name


def _is_idle(path: str) -> bool:
    """Whether nobody holds or waits, and nobody would miss the definition."""
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return False
    try:
        head = os.pread(fd, 4096, 0)
        return is_free(fd, _EVERYTHING) and (is_blank(head) or not read_header(head, None, path).defined)
    except BadLockFile:
        return False  # not ours to remove
    except Gone:
        return True
    finally:
        os.close(fd)


def _remove_bell(directory: str, lock_name: str, seat: int, dry_run: bool) -> bool:
    path = os.path.join(directory, f"{lock_name}.{seat}")
    try:
        fd = os.open(os.path.join(directory, lock_name), _OPEN)
    except FileNotFoundError:
        fd = -1  # no lock file, so nobody sits there
    try:
        if not S_ISFIFO(os.lstat(path).st_mode):
            return False
        if fd >= 0 and not try_lock(fd, write_lock(SEATS + seat, SEATS + seat + 1)):
            return False
        if not dry_run:
            os.unlink(path)  # while the seat is locked: nobody else can hang a bell there
        return True
    except FileNotFoundError:
        return False
    finally:
        if fd >= 0:
            os.close(fd)
