"""A kernel in memory: one directory with files and FIFOs, open file description locks, pidfds.

A call is done at once; who calls next is decided by `world`. Numbers are given by who makes a thing, not by when, so
that two runs that come to the same state have the same numbers. The locks are compared with the real ones in a test.
Source: fcntl_locking(2), "Open file description locks (non-POSIX)"; fifo(7); pidfd_open(2); inode(7).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

LAST = 1 << 63
"""One past the greatest offset; a lock of length 0 runs up to here."""
FREE, READ, WRITE = "free", "read", "write"

Range = tuple[int, int, str, int]
"""A lock: its first byte, the byte after its last one, READ or WRITE, and the number of its description."""


class Locks:
    """The locks of one file, as ``ranges`` in the order of their first bytes."""

    def __init__(self) -> None:
        self.ranges: tuple[Range, ...] = ()

    def conflict(self, owner: int, kind: str, start: int, stop: int) -> Range | None:
        """A lock of somebody else that is in the way: the last one, as pylock may count on none in particular."""
        for held in reversed(self.ranges):
            if held[3] != owner and held[0] < stop and start < held[1] and (kind == WRITE or held[2] == WRITE):
                return held
        return None

    def change(self, owner: int, kind: str, start: int, stop: int) -> bool:
        """Lock the range for the owner, instead of what it had there, or free it; False if somebody is in the way."""
        if kind != FREE and self.conflict(owner, kind, start, stop):
            return False
        ranges = []
        first, last = start, stop
        for held in self.ranges:
            if held[3] != owner or held[1] < start or held[0] > stop:
                ranges.append(held)
            elif held[2] == kind:  # they touch, and become one
                first, last = min(first, held[0]), max(last, held[1])
            else:
                pieces = ((held[0], min(held[1], start)), (max(held[0], stop), held[1]))
                ranges += [(*piece, held[2], owner) for piece in pieces if piece[0] < piece[1]]
        if kind != FREE:
            ranges.append((first, last, kind, owner))
        self.ranges = tuple(sorted(ranges))
        return True

    def of(self, owner: int) -> list[Range]:
        return [held for held in self.ranges if held[3] == owner]


class Inode:
    """A file or FIFO."""

    def __init__(self, number: int, mode: int) -> None:
        self.number = number
        self.mode = mode
        self.content = b""
        self.locks = Locks()
        self.links = 1
        self.openers = 0
        self.rings = 0
        """Bytes in the FIFO."""
        self.writers: dict[int, int] = {}
        """Who has written last what stands at an offset: for the rules, as the content tells pylock."""
        self.last_token = 0
        """The greatest that was given to a holder of this file: for the rules to compare."""

    @property
    def is_fifo(self) -> bool:
        return stat.S_ISFIFO(self.mode)

    def key(self) -> tuple[object, ...]:
        return self.number, self.content, self.locks.ranges, self.links, self.openers > 0 and self.rings

    def status(self) -> os.stat_result:
        return os.stat_result((self.mode, self.number, 1, self.links, os.geteuid(), 0, len(self.content), 0, 0, 0))


class Description:
    """An open file description, which one contender has."""

    def __init__(self, number: int, inode: Inode) -> None:
        self.number = number
        self.inode = inode
        self.position = 0


class PidFd:
    """A descriptor that is readable once the process has ended."""

    def __init__(self, process: Process) -> None:
        self.process = process


class Epoll:
    """What is registered: descriptors of the same process."""

    def __init__(self) -> None:
        self.watched: list[int] = []


Opened = Description | PidFd | Epoll


class Process:
    """What the kernel knows of one contender."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.has_ended = False
        self.opened: dict[int, Opened] = {}
        self._made = 0

    def fresh(self) -> int:
        self._made += 1
        return self.pid * 1000 + self._made

    def note(self, opened: Opened) -> int:
        """Give it the lowest free descriptor."""
        fd = self.pid * 1000
        while fd in self.opened:
            fd += 1
        self.opened[fd] = opened
        return fd

    def description(self, fd: int) -> Description:
        opened = self.opened.get(fd)
        if not isinstance(opened, Description):
            raise failure(errno.EBADF)
        return opened


def failure(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


class System:
    """The kernel."""

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self.inodes: list[Inode] = []
        self.processes: dict[int, Process] = {}

    def key(self) -> tuple[object, ...]:
        """All that can be seen by somebody who does not know the past."""
        names = tuple(sorted((name, inode.number) for name, inode in self.names.items()))
        inodes = tuple(inode.key() for inode in self.inodes if inode.links or inode.openers)
        return names, inodes, tuple(process.has_ended for process in self.processes.values())

    # Names

    def open(self, process: Process, path: str, flags: int, mode: int) -> int:
        inode = self.names.get(path)
        if inode is None:
            if not flags & os.O_CREAT:
                raise failure(errno.ENOENT, path)
            inode = self._make(process, path, stat.S_IFREG | mode)
        elif flags & os.O_EXCL:
            raise failure(errno.EEXIST, path)
        inode.openers += 1
        return process.note(Description(process.fresh(), inode))

    def mkfifo(self, process: Process, path: str, mode: int) -> None:
        if path in self.names:
            raise failure(errno.EEXIST, path)
        self._make(process, path, stat.S_IFIFO | mode)

    def _make(self, process: Process, path: str, mode: int) -> Inode:
        inode = self.names[path] = Inode(process.fresh(), mode)
        self.inodes.append(inode)
        self.inodes.sort(key=lambda each: each.number)
        return inode

    def unlink(self, path: str) -> None:
        inode = self.named(path)
        del self.names[path]
        inode.links = 0

    def named(self, path: str) -> Inode:
        inode = self.names.get(path)
        if inode is None:
            raise failure(errno.ENOENT, path)
        return inode

    # Contents

    def pwrite(self, process: Process, fd: int, text: bytes, offset: int) -> int:
        inode = process.description(fd).inode
        before = inode.content.ljust(offset, b"\0")
        inode.content = before[:offset] + text + before[offset + len(text) :]
        inode.writers[offset] = process.pid
        return len(text)

    def write(self, process: Process, fd: int, text: bytes) -> int:
        inode = process.description(fd).inode
        inode.rings += len(text)
        return len(text)

    def read(self, process: Process, fd: int, most: int) -> bytes:
        inode = process.description(fd).inode
        if not inode.rings:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        text, inode.rings = b"!" * min(most, inode.rings), max(0, inode.rings - most)
        return text

    # Locks

    def lock(self, process: Process, fd: int, kind: str, start: int, stop: int) -> None:
        description = process.description(fd)
        if not description.inode.locks.change(description.number, kind, start, stop):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def conflict(self, process: Process, fd: int, kind: str, start: int, stop: int) -> Range | None:
        description = process.description(fd)
        return description.inode.locks.conflict(description.number, kind, start, stop)

    # Ends

    def dup(self, process: Process, fd: int) -> int:
        return process.note(process.description(fd))

    def close(self, process: Process, fd: int) -> None:
        opened = process.opened.pop(fd, None)
        if opened is None:
            raise failure(errno.EBADF)
        if isinstance(opened, Description) and opened not in process.opened.values():  # the last copy of its descriptor
            inode = opened.inode
            inode.locks.change(opened.number, FREE, 0, LAST)
            inode.openers -= 1
            if not inode.openers:
                inode.rings = 0

    def pidfd_open(self, process: Process, pid: int) -> int:
        """An ended process can be opened as long as nobody has waited for it, which nobody does."""
        if pid not in self.processes:
            raise failure(errno.ESRCH)
        return process.note(PidFd(self.processes[pid]))

    def end(self, process: Process) -> None:
        """What the kernel does last for a process that has no descriptors any more."""
        process.has_ended = True

    def is_readable(self, process: Process, fds: Iterable[int]) -> tuple[int, ...]:
        return tuple([fd for fd in fds if self._is_readable(process, process.opened.get(fd))])

    def _is_readable(self, process: Process, opened: Opened | None) -> bool:
        if isinstance(opened, PidFd):
            return opened.process.has_ended
        if isinstance(opened, Epoll):
            return bool(self.is_readable(process, opened.watched))
        return opened is not None and opened.inode.rings > 0
