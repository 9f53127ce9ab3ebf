"""Bells: how the one who leaves wakes the one who waits. A FIFO beside the lock file, named by the waiter's seat.

A bell is only a hint. Who cannot make one, or is on another host than the ringer, wakes by its safety timeout.
Source: fifo(7); a FIFO opened O_RDWR always has a reader, so that ringing it never fails while its owner lives.
"""

from __future__ import annotations

import os
from errno import EACCES, EDQUOT, ENOSPC, EOPNOTSUPP, EPERM, EROFS
from stat import S_ISFIFO

from .descriptors import close, opened

_NO_BELL = frozenset((EACCES, EDQUOT, ENOSPC, EOPNOTSUPP, EPERM, EROFS))
_LISTEN = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_RING = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


def bell_path(lock_path: str, seat: int) -> str:
    return f"{lock_path}.{seat}"


class Bell:
    """The waiter's end. ``fd`` becomes readable when somebody rings; it is -1 where no bell could be made."""

    __slots__ = ("fd", "path")

    def __init__(self, lock_path: str, seat: int, mode: int) -> None:
        self.path = bell_path(lock_path, seat)
        self.fd = -1
        try:
            self.fd = _hang(self.path, mode)
        except OSError as error:
            if error.errno not in _NO_BELL:
                raise

    def silence(self) -> None:
        """Take back what was rung, so that the descriptor is readable only from the next ring on."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def take_down(self) -> None:
        """Remove the FIFO; call it before the seat is given up."""
        if self.fd < 0:
            return
        close(self.fd)
        self.fd = -1
        try:
            os.unlink(self.path)
        except OSError:  # its directory may be gone, or closed to us by now
            pass


def _hang(path: str, mode: int) -> int:
    try:
        os.mkfifo(path, 0o600)
        os.chmod(path, mode)
    except FileExistsError:
        pass  # left by a killed waiter who had this seat
    fd = os.open(path, _LISTEN)
    opened.add(fd)
    try:
        if S_ISFIFO(os.fstat(fd).st_mode):
            return fd
    except BaseException:
        close(fd)
        raise
    close(fd)
    return -1


def ring(lock_path: str, seat: int) -> None:
    """Wake the waiter in the seat, if it is on this host. Never waits and never fails."""
    try:
        fd = os.open(bell_path(lock_path, seat), _RING)
    except OSError:
        return
    try:
        if S_ISFIFO(os.fstat(fd).st_mode):  # else somebody planted a file here for us to write into
            os.write(fd, b"!")
    except OSError:
        pass
    finally:
        os.close(fd)
