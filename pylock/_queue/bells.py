"""Bells: how the one who leaves wakes the one who waits. A FIFO beside the lock file, named by the waiter's seat.

A bell is only a hint. Who cannot make one, or is on another host than the ringer, wakes by its safety timeout.
Source: fifo(7); a FIFO opened O_RDWR always has a reader, so that ringing it never fails while its owner lives.
"""

from __future__ import annotations

import os
from errno import (
    EACCES,
    EDQUOT,
    EISDIR,
    ELOOP,
    EMFILE,
    ENFILE,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    EROFS,
)  # fmt: skip
from stat import S_IMODE, S_ISFIFO, S_ISVTX

from .._file.descriptors import close, give_mode, open_noted
from .drivers import is_readable

_NO_BELL = frozenset((
    EACCES, EDQUOT, EISDIR, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, ENXIO, EOPNOTSUPP, EPERM, EROFS,
))  # fmt: skip
BELL_FLAGS = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


def bell_path(lock_path: str, seat: int) -> str:
    return f"{lock_path}.{seat}"


class Bell:
    """The waiter's end. ``fd`` becomes readable when somebody rings; it is -1 as long as there is no bell."""

    __slots__ = ("_hung", "_path", "fd")

    def __init__(self, lock_path: str, seat: int) -> None:
        self._path = bell_path(lock_path, seat)
        self._hung = False
        self.fd = -1

    def hang(self, mode: int) -> None:
        """Make the FIFO and open it; do without where that cannot be done."""
        try:
            self._make()
            self.fd = open_noted(self._path, BELL_FLAGS, mark=False)
            self._let_others_ring(mode)
        except OSError as error:
            self.take_down()
            if error.errno not in _NO_BELL:
                raise

    def _make(self) -> None:
        self._hung = True
        try:
            os.mkfifo(self._path, 0o600 | S_ISVTX)
        except FileExistsError:  # left by a killed waiter who had this seat
            pass

    def _let_others_ring(self, mode: int) -> None:
        """Set the mode of what was opened, whatever has the name by now; and only if it is a FIFO of our own."""
        status = os.fstat(self.fd)
        if not S_ISFIFO(status.st_mode):
            self._hung = False  # somebody else's file
            self._stop_listening()
        elif S_IMODE(status.st_mode) != mode | S_ISVTX and self._was_made_here(status):
            give_mode(self.fd, mode)

    def _was_made_here(self, opened: os.stat_result) -> bool:
        """Whether it is our own, and no link to one elsewhere, not even one that has gone again since it was opened."""
        named = os.lstat(self._path)
        is_at = (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
        return is_at and named.st_nlink == 1 and named.st_uid == os.geteuid()

    def silence(self) -> bool:
        """Take back what was rung, so that the descriptor is readable only from the next ring on; whether it was."""
        try:
            return self.fd >= 0 and bool(os.read(self.fd, 4096))
        except BlockingIOError:
            return False

    def take_down(self) -> None:
        """Remove the FIFO; call it before the seat is given up."""
        try:
            if self._hung and (self.fd >= 0 or S_ISFIFO(os.lstat(self._path).st_mode)):
                os.unlink(self._path)
        except OSError:  # gone already, or its directory is closed to us by now
            pass
        finally:
            self._hung = False
            self._stop_listening()

    def _stop_listening(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close(fd)


def ring(lock_path: str, seat: int, private: bool = False) -> None:
    """Wake the waiter in the seat, if it is on this host. Never waits and never fails.

    ``private``: nobody else can have put a file there for us to write into.
    """
    try:
        # Opened to read as well, so that a waiter who leaves meanwhile costs nobody a SIGPIPE.
        fd = open_noted(bell_path(lock_path, seat), BELL_FLAGS, mark=False)
    except OSError:
        return
    try:
        if private or S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, b"!")
    except OSError:
        pass
    finally:
        close(fd)


def is_unheard(lock_path: str, seat: int) -> bool:
    """Whether the waiter in the seat was rung and has not taken note; False if it has no bell on this host."""
    try:
        fd = open_noted(bell_path(lock_path, seat), BELL_FLAGS, mark=False)
    except OSError:
        return False
    try:
        return S_ISFIFO(os.fstat(fd).st_mode) and is_readable(fd, 0)
    finally:
        close(fd)
