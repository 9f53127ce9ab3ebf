"""Byte-range locks that belong to an open file description. The only module that calls fcntl.

Such a lock excludes every other open file description, in this process or another; it is not lost when
another descriptor of the file is closed, and it ends when the last copy of the descriptor is closed.
Nothing here ever waits in the kernel.

Source: fcntl_locking(2), "Open file description locks (non-POSIX)", Linux 3.15.
"""

from __future__ import annotations

import sys
from errno import EACCES, EAGAIN

from .bytemap import END, ROOM

try:
    from fcntl import F_OFD_GETLK, F_OFD_SETLK, F_RDLCK, F_UNLCK, F_WRLCK, fcntl
except ImportError:
    raise ImportError(
        f"pylock needs the open file description locks of Linux 3.15 or newer; {sys.platform} does not have them",
        name="fcntl",
    ) from None

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.maxsize < 1 << 32:
    raise ImportError("pylock packs struct flock as 64-bit Linux lays it out; this interpreter is a 32-bit one")

_TYPE = 0 if sys.byteorder == "little" else 1  # the byte of a flock that tells its l_type
_KIND, _START, _LENGTH = (0, 64, 128) if sys.byteorder == "little" else (240, 128, 64)
"""The places of l_type, l_start and l_len in a flock that is read as one number of 32 bytes."""
_OFFSETS = (1 << 64) - 1

Held = tuple[int, int, bool]
"""A lock of somebody else: its first byte, the byte after its last one, whether it is a write lock."""


def _flock(kind: int, start: int, length: int) -> bytes:
    """Pack struct flock: l_type, l_whence (0: from the start), l_start, l_len, l_pid (must be 0).

    As one number, because the struct module is a library that takes longer to load than a lock file to make.
    """
    return (kind << _KIND | start << _START | length << _LENGTH).to_bytes(32, sys.byteorder)


def write_lock(start: int, stop: int) -> bytes:
    """Say "write-lock the bytes from start up to, not including, stop"; the other functions take the result."""
    return _flock(F_WRLCK, start, stop - start)


def byte_lock(place: int) -> bytes:
    """As `write_lock`, of one byte."""
    return _flock(F_WRLCK, place, 1)


def read_lock(start: int, stop: int) -> bytes:
    return _flock(F_RDLCK, start, stop - start)


def unlock(start: int, stop: int) -> bytes:
    return _flock(F_UNLCK, start, stop - start)


UNLOCK_ALL = _flock(F_UNLCK, 0, 0)
ANYBODY = write_lock(ROOM, END)
"""What somebody has locked if anybody holds or waits."""


def try_lock(fd: int, request: bytes) -> bool:
    """Take the lock and return True, or return False because somebody holds a conflicting one.

    Raises OSError for everything else, such as ENOLCK from a server without a lock service.
    """
    try:
        fcntl(fd, F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in (EAGAIN, EACCES):
            return False
        raise
    return True


def let_go(fd: int, request: bytes = UNLOCK_ALL) -> None:
    fcntl(fd, F_OFD_SETLK, request)


def is_free(fd: int, request: bytes) -> bool:
    """Tell whether nobody else holds a lock that conflicts with the request."""
    return fcntl(fd, F_OFD_GETLK, request)[_TYPE] == F_UNLCK


def find(fd: int, request: bytes) -> Held | None:
    """Return some lock of somebody else that conflicts with the request: any one, not the lowest."""
    answer = fcntl(fd, F_OFD_GETLK, request)
    if answer[_TYPE] == F_UNLCK:
        return None
    fields = int.from_bytes(answer, sys.byteorder)
    start, length = fields >> _START & _OFFSETS, fields >> _LENGTH & _OFFSETS
    return start, start + length if length else END, answer[_TYPE] == F_WRLCK


def find_lowest(fd: int, start: int, stop: int) -> Held | None:
    """Return the lock of somebody else that begins lowest between start and stop."""
    lowest = None
    while start < stop and (held := find(fd, write_lock(start, stop))):
        lowest = held
        stop = held[0]
    return lowest


def find_all(fd: int, start: int, stop: int) -> Iterator[Held]:
    """Find every byte between start and stop that somebody else has locked, each once, in no order.

    Of two read locks that overlap, the common part is reported with one of them.
    """
    gaps = [(start, stop)]
    while gaps:
        start, stop = gaps.pop()
        if start < stop and (held := find(fd, write_lock(start, stop))):
            yield held
            gaps.append((start, held[0]))
            gaps.append((held[1], stop))
