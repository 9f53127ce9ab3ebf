"""Removing lock files that nobody uses, and what killed waiters left beside them.

Acquirer A and remover R cannot end up on two files: R.1 locks every byte, R.2 writes "removed" into the header,
R.3 unlinks. If A opened the file before R.3, then A's lock comes after R let go, A reads "removed", and opens the
path again. If R dies between R.2 and R.3, the next one to find a "removed" file in place finishes the removal.
"""

from __future__ import annotations

import os
from stat import S_ISFIFO

from .bytemap import END, SEAT_COUNT, SEATS
from .byterange import is_free, try_lock, write_lock
from .errors import BadLockFile
from .headers import is_blank, read_head, read_header
from .layout import REMOVED, SEQUENCE, SUFFIX, TIMESTAMP, Gone
from .lockfile import is_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Directory

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_EVERYTHING = write_lock(0, END)


def finish_removal(path: str) -> None:
    """Remove a lock file that is marked as removed, but whose remover did not come to remove it."""
    _remove(path, only_marked=True)


def clean(directory: Directory, dry_run: bool = False) -> Iterator[str]:
    """Remove idle lock files and bells without an owner; yield the name of each, with ``dry_run`` removing none.

    Left alone are locks that were defined by hand, which would lose their definition; sequences and timestamps, which
    would give values once more; files that this user may not remove, and those that are empty or otherwise none of
    pylock's; and every lock file on a file system shared with other hosts, as they may go on
    opening the dead one for half a minute.
    """
    names = sorted(os.listdir(directory.path))
    for name in names:
        lock_name, _, seat = name.rpartition(".")
        if lock_name.endswith(SUFFIX) and _is_seat(seat) and _remove_bell(directory.path, lock_name, seat, dry_run):
            yield name
    for name in names:
        if name.endswith(SUFFIX) and not directory.remote:
            path = os.path.join(directory.path, name)
            if _would_remove(path) if dry_run else _remove(path, only_marked=False):
                yield name


def remove_if_idle(path: str) -> None:
    """Remove the lock file unless somebody uses it, or would miss what it says."""
    _remove(path, only_marked=False)


def _remove(path: str, only_marked: bool) -> bool:
    """Remove the lock file if nobody holds it, waits for it or would miss it; tell whether it was removed."""
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return False
    try:
        if not try_lock(fd, _EVERYTHING) or not is_at(fd, path):
            return False
        head = read_head(fd)
        if not head.startswith(REMOVED) and (only_marked or not _is_dispensable(head, path)):
            return False
        os.pwrite(fd, REMOVED, 0)
        try:
            os.unlink(path)
        except OSError:
            os.pwrite(fd, head[: len(REMOVED)].ljust(len(REMOVED), b"\0"), 0)  # as it was: it stays in use
            return False
        return True
    except OSError:  # not a regular file, or a file system that fails
        return False
    finally:
        os.close(fd)


def _would_remove(path: str) -> bool:
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return False
    try:
        return is_free(fd, _EVERYTHING) and _is_dispensable(read_head(fd), path)
    except OSError:
        return False
    finally:
        os.close(fd)


def _is_dispensable(head: bytes, path: str) -> bool:
    try:
        if is_blank(head):
            return False  # as other programs' lock files are
        definition = read_header(head, None, path)
        return not definition.defined and definition.kind not in (SEQUENCE, TIMESTAMP)
    except BadLockFile:
        return False  # not ours to remove
    except Gone:
        return True


def _is_seat(text: str) -> bool:
    return text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < SEAT_COUNT


def _remove_bell(directory: str, lock_name: str, seat: str, dry_run: bool) -> bool:
    path = os.path.join(directory, f"{lock_name}.{seat}")
    byte = SEATS + int(seat)
    fd = -1
    try:
        if not S_ISFIFO(os.lstat(path).st_mode):
            return False
        try:
            fd = os.open(os.path.join(directory, lock_name), _OPEN)
            if not try_lock(fd, write_lock(byte, byte + 1)):
                return False
        except FileNotFoundError:
            pass  # no lock file, so nobody sits there
        if not dry_run:
            os.unlink(path)  # while the seat is locked: nobody else can hang a bell there
        return True
    except OSError:  # gone meanwhile, or not ours to remove
        return False
    finally:
        if fd >= 0:
            os.close(fd)
