"""Files that somebody else has open: when they are closed, and who has locked them.

Source: inotify(7): a watch is of the file, whichever of its names is used, and tells of the last close of each open
file description, which is when a lock of flock(2) ends. It does not tell of other hosts, nor of an unlock without a
close; so it is only ever a reason to look earlier.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from .._errors import harmless
from .._file.descriptors import noted
from .._process import command_line, forget_in_child

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ctypes import CDLL
    from types import TracebackType
    from typing import Self

_CLOSED_OR_MOVED = 0x8 | 0x10 | 0x4 | 0x800  # IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_ATTRIB, IN_MOVE_SELF

_MOST_SHOWN = 200
"""Characters of a command."""

_idle: list[int] = []
"""Descriptors of inotify that watch nothing; as many as were ever in use at a time."""
forget_in_child(_idle.clear)


class Watch:
    """Becomes readable when one of the files may have been unlocked; ``fd`` is -1 where that cannot be watched."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._watches: list[int] = []
        self.fd: int = -1
        try:
            self.fd = _idle_or_new()
            self._watches += [_add_watch(self.fd, path) for path in paths]
        except OSError:  # no such thing here, or the user has too many of them
            self._put_away()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_away()

    def drain(self) -> None:
        try:
            while self.fd >= 0 and os.read(self.fd, 65536):
                pass
        except BlockingIOError:
            pass

    def _put_away(self) -> None:
        """Keep the descriptor for the next time: to close it takes the kernel some 10 ms."""
        for watch in self._watches:
            _libc().inotify_rm_watch(self.fd, watch)
        self.drain()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            _idle.append(fd)


def holder_of(status: os.stat_result) -> int | None:
    """The pid of who took the flock(2) of the file first, as the kernel shows it. Source: proc_locks(5)."""
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            for line in locks:
                fields = line.split()
                if fields[1] == "FLOCK" and fields[5] == file:
                    return int(fields[4])
    except OSError:
        pass
    return None


def is_held_through(fd: int) -> bool:
    """Whether the open file has a flock(2). Source: proc_pid_fdinfo(5)."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            return any(line.startswith("lock:") and "FLOCK" in line for line in file)
    except OSError:
        return False


def described(pid: int) -> str:
    """Say who that is, for a message."""
    shown = harmless(command_line(pid)[:_MOST_SHOWN])
    return f'pid {pid} "{shown}"' if shown else f"pid {pid}"


@cache
def _libc() -> CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _idle_or_new() -> int:
    try:
        return _idle.pop()
    except IndexError:
        return noted(False, _start_watching, os.O_NONBLOCK | os.O_CLOEXEC)


def _start_watching(flags: int) -> int:
    return _checked(_libc().inotify_init1(flags))


def _add_watch(fd: int, path: str) -> int:
    return _checked(_libc().inotify_add_watch(fd, os.fsencode(path), _CLOSED_OR_MOVED))


def _checked(result: int) -> int:
    if result < 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
