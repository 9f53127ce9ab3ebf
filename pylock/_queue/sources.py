"""What wakes a waiter besides its own bells: the end of a process that it waits for, the bell of who is before it.

All of it is seen through one descriptor, that of an epoll (epoll(7)), as the bell alone is where nothing else is
watched. A pidfd is readable once its process has ended (pidfd_open(2), Linux 5.3). What cannot be watched, such as a
process of another host or pid namespace, is said to the caller, who then looks by itself now and then.
"""

from __future__ import annotations

import os
import select

from .._file.descriptors import close, noted, open_noted
from .._process import start_time
from .bells import BELL_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .bells import Bell
    from .drivers import Watched

Process = tuple[int, int]
"""A pid of this host and namespace, and when it started, which tells it from a later one of the same number."""

RUNG, OTHER_RUNG, ENDED = 1, 2, 4
"""What may have happened, as bits."""


class Sources:
    """What one waiter listens to: its own bells, ends of processes, bells of others. `take` tells what has happened."""

    __slots__ = ("_are_new", "_bells", "_ends", "_epoll", "_others", "_wanted")

    def __init__(self, bells: Sequence[Bell]) -> None:
        """``bells`` are its own, one for each lock; each may be hung, or added, until the first `watch`."""
        self._bells = bells
        self._epoll: select.epoll | None = None
        self._ends: dict[Process, int] = {}
        self._others: dict[str, int] = {}
        self._wanted: tuple[set[Process | None], set[str]] | None = None
        self._are_new = False

    @property
    def watched(self) -> Watched:
        """What is readable when something has happened."""
        return tuple(bell.fd for bell in self._bells) if self._epoll is None else self._epoll.fileno()

    def take(self) -> int:
        """Tell what has happened. An end, or a ring for somebody else, is told once."""
        if self._epoll is None:
            return RUNG
        happened = 0
        for fd, _ in self._epoll.poll(0):
            if any(fd == bell.fd for bell in self._bells):
                happened |= RUNG
            elif fd in self._ends.values():
                happened |= ENDED
                self._forget(fd)
            elif fd in self._others.values():
                happened |= OTHER_RUNG
                self._forget(fd)
            else:  # what the program has closed behind our back, and a child of it has
                self.close()
                return RUNG | ENDED
        return happened

    def watch(self, processes: Iterable[Process | None], paths: Iterable[str]) -> bool:
        """Listen to the ends of these processes, and to the bells with these paths, and to no others.

        False if one of them cannot be listened to; None stands for one that is not known.
        """
        wanted, bells = set(processes), set(paths)
        if self._wanted != (wanted, bells):
            self._are_new, self._wanted = True, (wanted, bells)
        if any(bell.fd < 0 for bell in self._bells) or not _has_all():
            return False
        for fd in [fd for key, fd in self._ends.items() if key not in wanted]:
            self._forget(fd)
        for fd in [fd for key, fd in self._others.items() if key not in bells]:
            self._forget(fd)
        try:
            if self._epoll is None:
                epoll = select.epoll()
                for own in self._bells:
                    epoll.register(own.fd, select.EPOLLIN)
                self._epoll = epoll
            for bell in bells:
                self._watch_bell(bell)
            return all(self._watch_end(each) for each in wanted)
        except OSError:  # no descriptors left, or a kernel or sandbox without these calls
            return False

    def are_new(self) -> bool:
        """Whether `watch` was asked for others than before: what befell them until then was not heard. Told once."""
        are_new, self._are_new = self._are_new, False
        return are_new

    def _watch_end(self, process: Process | None) -> bool:
        if process is None:
            return False
        if process[0] != os.getpid() and process not in self._ends:
            self._listen(fd := noted(False, os.pidfd_open, process[0]))
            self._ends[process] = fd
            if start_time(process[0]) != process[1]:  # another process has the number by now
                self._forget(fd)
                return False
        return True

    def _watch_bell(self, path: str) -> None:
        if path not in self._others:
            self._listen(fd := open_noted(path, BELL_FLAGS, mark=False))
            self._others[path] = fd

    def _listen(self, fd: int) -> None:
        assert self._epoll is not None
        try:
            self._epoll.register(fd, select.EPOLLIN)
        except BaseException:
            close(fd)
            raise

    def _forget(self, fd: int) -> None:
        assert self._epoll is not None
        self._ends = {key: each for key, each in self._ends.items() if each != fd}
        self._others = {key: each for key, each in self._others.items() if each != fd}
        try:
            self._epoll.unregister(fd)  # closing does not, as a child that was forked meanwhile may have it, too
        except OSError:  # the program has closed it
            pass
        finally:
            close(fd)

    def close(self) -> None:
        for fd in (*self._ends.values(), *self._others.values()):
            close(fd)
        self._ends, self._others = {}, {}
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def _has_all() -> bool:
    """Whether there is what it takes. Asked each time, as gevent and eventlet take epoll away, maybe late."""
    return hasattr(select, "epoll") and hasattr(os, "pidfd_open")
