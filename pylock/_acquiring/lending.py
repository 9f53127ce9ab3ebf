"""Taking a lock through a descriptor that is lent: its owner, a script, goes on holding when this process has ended.

The wait is that of any claim, on a descriptor of its own: place, ticket and bell end with this process, also if it is
killed. Only the try goes through the lent one. The kernel keeps the lock for as long as any copy of that is open.
"""

from __future__ import annotations

import os
from errno import EBADF

from .._errors import LockError, NotHeld
from .._file.byterange import let_go
from .._file.header import Gone, look_at_header
from .._file.layout import FAIR
from .._file.lent import holds_locks, path_of, same_file
from .._queue.bells import ring
from .._queue.tickets import seat_to_ring
from .agreement import learn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._request import Attempt, Grant, Request


class Lent:
    """Stands in for the try of a request: the same, but through the lent descriptor ``fd``."""

    __slots__ = ("_attempt", "_fd")

    def __init__(self, attempt: Attempt, fd: int) -> None:
        self._attempt = attempt
        self._fd = fd

    def __call__(self, fd: int, request: Request, seat: int | None) -> Grant | None:
        if not same_file(fd, self._fd):
            raise LockError(
                f'descriptor {self._fd} is not open on the lock file of "{request.name}", {request.path}, or that was'
                " made anew meanwhile; open it and try again",
                name=request.name,
            )
        learn(fd, request)  # so that nothing has to be agreed upon under the gate, which the lender could keep
        try:
            if request.directory.remote:  # its owner opened it as any file, so that it reads what this host has cached
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return self._attempt(self._fd, request, None)
        except BaseException as error:
            let_go(self._fd)
            if isinstance(error, OSError) and error.errno == EBADF:
                raise LockError(
                    f"descriptor {self._fd} must be open for reading and writing, as by <> in a shell",
                    name=request.name,
                ) from None
            raise


def lend(request: Request, fd: int) -> None:
    """From now on try for the lock through this descriptor. Raises LockError if it holds something already."""
    if holds_locks(fd):
        raise LockError(f"descriptor {fd} holds a lock already; let go of it first", name=request.name)
    request.attempt = Lent(request.attempt, fd)


def release_lent(fd: int) -> None:
    """Let go of the lock that is held through the descriptor, and wake who waits next.

    Raises NotHeld; BadLockFile, and it is not touched. After an OSError it is free all the same.
    """
    path = path_of(fd)
    if path is not None and not holds_locks(fd):
        raise NotHeld(f"descriptor {fd} holds no lock")
    fair = False
    try:
        definition = look_at_header(fd, None, path or f"descriptor {fd}")[1]
        fair = definition is not None and definition.policy == FAIR
    except Gone:
        path = None
    except OSError:  # of a file server, say; what is held does not depend on what the file says
        let_go(fd)
        raise
    let_go(fd)
    if path is not None and (seat := seat_to_ring(fd, fair, None)) is not None:
        ring(path, seat)
