"""Removing lock files that nobody uses, and what killed waiters left beside them.

Acquirer A and remover R cannot end up on two files: R.1 locks every byte, R.2 writes "removed" into the header,
R.3 unlinks. If A opened the file before R.3, then A's lock comes after R let go, A reads "removed", and opens the
path again. If R dies between R.2 and R.3, the next one to find a "removed" file in place finishes the removal.
"""

from __future__ import annotations

import os
from stat import S_ISFIFO

from .._errors import BadLockFile
from .bytemap import SEAT_COUNT, SEATS
from .byterange import byte_lock, is_free, try_lock
from .descriptors import drop, open_noted
from .header import REMOVED, Gone, is_blank, read_head, read_header
from .layout import SEQUENCE, SUFFIX, TIMESTAMP
from .lockfile import EVERYTHING, Look, is_at, is_being_removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Directory

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def finish_removal(path: str) -> bool:
    """Remove a lock file that is marked as removed, but whose remover did not come to remove it.

    False if that cannot be done now, as the remover is still at it, or somebody else has locked it; else the path may
    be opened anew.
    """
    try:
        fd = open_noted(path, _OPEN)
    except OSError:  # gone; or what keeps everybody from opening it, as who tries will see
        return True
    try:
        head = read_head(fd)
        return not head.startswith(REMOVED) or _unlink(fd, path, head) or not is_at(fd, path)
    except OSError:  # a file system that fails
        return False
    finally:
        drop(fd)


def is_wrongly_marked(path: str) -> bool:
    """Whether the file is marked as removed, and yet nobody is removing it; if that lasts, it is damaged."""
    with Look(path, None) as fd:
        return fd >= 0 and read_head(fd).startswith(REMOVED) and not is_being_removed(fd)


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
            if _would_remove(path) if dry_run else remove_if_idle(path):
                yield name


def remove_if_idle(path: str) -> bool:
    """Remove the lock file if nobody holds it, waits for it or would miss it; tell whether it was removed."""
    try:
        fd = open_noted(path, _OPEN)
    except OSError:
        return False
    try:
        # Looked at before it is locked, which others take for a holder.
        return _is_idle(fd, path) and _unlink(fd, path, read_head(fd))
    except OSError:  # not a regular file, or a file system that fails
        return False
    finally:
        drop(fd)


def _unlink(fd: int, path: str, head: bytes) -> bool:
    """Mark the file as removed and take its name away, unless somebody uses it by now."""
    if not try_lock(fd, EVERYTHING) or not is_at(fd, path) or read_head(fd) != head:
        return False
    os.pwrite(fd, REMOVED, 0)
    try:
        os.unlink(path)
    except OSError:
        os.pwrite(fd, head[: len(REMOVED)].ljust(len(REMOVED), b"\0"), 0)  # as it was: it stays in use
        return False
    return True


def _would_remove(path: str) -> bool:
    try:
        with Look(path, None) as fd:
            return fd >= 0 and _is_idle(fd, path)
    except (OSError, BadLockFile):
        return False


def _is_idle(fd: int, path: str) -> bool:
    return is_free(fd, EVERYTHING) and _is_dispensable(read_head(fd), path)


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
    file = os.path.join(directory, lock_name)
    path = f"{file}.{seat}"
    fd = -1
    try:
        if not S_ISFIFO(os.lstat(path).st_mode):
            return False
        try:
            fd = open_noted(file, _OPEN)
            if not try_lock(fd, byte_lock(SEATS + int(seat))) or not is_at(fd, file):
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
            drop(fd)
