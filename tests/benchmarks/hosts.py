"""What a file server is asked for while 10, 100 or 1000 hosts wait for one lock on it: a simulation with the real code.

Each host is one waiter with a descriptor of its own, which goes through the real steps of a wait in a directory that is
taken for one of a file server. Time is made: a host sleeps as long as its step says, and no request takes any. Counted
is each call that reaches the server, since whoever is in the way is on another host:

    a lock of bytes asked for, looked at or let go     one request
    a read of the lock file                            one, as on NFS 4 it goes past the cache
    a record written and synced                        two: WRITE and COMMIT
    a name opened, made, looked up or removed          one

What another host has written or rung is not seen here, save by these. A bell rings on its own host alone.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kernel import path_of, replaced
from remote import take_for_remote

import pylock
from pylock._acquiring.claim import Claim
from pylock._acquiring.steps import steps_to_grant
from pylock._acquiring.waiting import SAFETY, SAFETY_BEHIND

from .common import Table, at_most, number

SIZES = (10, 100, 1000)
BETWEEN_ARRIVALS = 0.037
"""Seconds from one host to the next."""
SETTLED = SAFETY + sum(SAFETY_BEHIND) + 1
"""Seconds after which a host looks as rarely as it ever will."""
MOST_PER_HOST = 40.0
"""Requests a second of one host that waits."""
_ORDINARY_CALLS = ("open", "mkfifo", "lstat", "stat", "unlink")


class Host:
    """One host: the steps of its wait, and what it has asked of the server."""

    def __init__(self, lock: pylock.Lock[pylock.Hold]) -> None:
        self.claim = Claim(lock.request)
        self.bells: set[str] = set()
        self.requests = 0
        self.looks = 0
        self._steps = self._wait()

    def _wait(self) -> Iterator[tuple[Any, float]]:
        if not self.claim.take():
            yield from steps_to_grant(self.claim, None, False, pylock.LockTimeout)

    def look(self) -> float:
        """Go on to the next sleep, and return how long it lasts at most."""
        self.looks += 1
        return next(self._steps)[1]

    def leave(self) -> None:
        self._steps.close()
        self.claim.close()


class Server:
    """Counts what the hosts ask. They go on by turns, so that each call is that of the host whose turn it is."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._real = {name: getattr(os, name) for name in (*_ORDINARY_CALLS, "pread", "fsync")}
        self._real_fcntl = fcntl.fcntl
        self.now = time.monotonic()
        self._begun = self.now, time.time_ns()
        self.turn: Host | None = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Stand between the hosts and the kernel, and be the clock, for the time of the block."""
        calls: list[tuple[Any, str, Callable[..., Any]]] = [
            (os, "pread", self.pread),
            (os, "fsync", self.fsync),
            (fcntl, "fcntl", self.fcntl),
            (time, "monotonic", lambda: self.now),
            (time, "time_ns", lambda: self._begun[1] + int((self.now - self._begun[0]) * 1e9)),
        ]
        calls += [(os, name, self._named(name)) for name in _ORDINARY_CALLS]
        with ExitStack() as stack:
            for module, name, call in calls:
                stack.enter_context(replaced(module, name, call))
            yield

    def _asked(self, requests: int = 1) -> None:
        if self.turn is not None:
            self.turn.requests += requests

    def _named(self, name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            if str(path).startswith(self._directory + "/"):
                self._asked()
                self._refuse_foreign_bell(name, str(path))
            return self._real[name](path, *arguments, **keywords)

        return call

    def _refuse_foreign_bell(self, name: str, path: str) -> None:
        if self.turn is None or path.endswith(".lock"):
            return
        if name == "mkfifo":
            self.turn.bells.add(path)
        elif name == "open" and path not in self.turn.bells:
            raise OSError(errno.ENXIO, "a FIFO of another host has nobody at its other end", path)

    def fcntl(self, fd: int, command: int, argument: Any = 0) -> Any:
        if command in (fcntl.F_OFD_SETLK, fcntl.F_OFD_GETLK):
            self._asked()
        return self._real_fcntl(fd, command, argument)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if path_of(fd).startswith(self._directory):
            self._asked()
        read: bytes = self._real["pread"](fd, size, offset)
        return read

    def fsync(self, fd: int) -> None:
        self._asked(2)

    def run(self, hosts: list[Host], seconds: float) -> None:
        """Let them come one after the other; count for so many seconds once all have come and settled."""
        begun = self.now
        due = [(begun + place * BETWEEN_ARRIVALS, place) for place in range(len(hosts))]
        counted_from = due[-1][0] + SETTLED
        heapq.heapify(due)
        is_counting = False
        while due[0][0] < counted_from + seconds:
            self.now, place = heapq.heappop(due)
            if self.now >= counted_from and not is_counting:
                is_counting = True
                for host in hosts:
                    host.requests = host.looks = 0
            self.turn = hosts[place]
            heapq.heappush(due, (self.now + hosts[place].look(), place))
        self.turn = None


def waiting_hosts(count: int, seconds: float) -> list[Host]:
    """So many hosts, and what each of them asked in so many seconds, while somebody holds the lock all the time."""
    directory = os.path.abspath("far")
    name = f"held-by-one-of-{count + 1}"
    server = Server(directory)
    with ExitStack() as stack:
        stack.enter_context(pylock.lock(name, directory=directory))
        stack.enter_context(server.in_place())
        hosts = [Host(pylock.lock(name, directory=directory)) for _ in range(count)]
        for host in hosts:
            stack.callback(host.leave)
        server.run(hosts, seconds)
    return hosts


def tables(quick: bool) -> list[Table]:
    seconds = 2.0 if quick else 10.0
    table = Table(
        "What a file server is asked while hosts wait for one lock (simulated)",
        ["hosts that wait", "requests/s", "of the first", "of each other", "a look of these"],
        f"Requests a second over {seconds:g} s in which nothing happens; the last column is for one look.",
    )
    with far_directory():
        for count in SIZES[:-1] if quick else SIZES:
            first, *others = waiting_hosts(count, seconds)
            behind = sum(host.requests for host in others) / len(others)
            looks = sum(host.looks for host in others) / len(others)
            rates = (first.requests + behind * len(others), first.requests, behind)
            table.rows.append([str(count), *(number(rate / seconds) for rate in rates), number(behind / looks)])
            most = max(host.requests for host in (first, *others)) / seconds
            table.verdicts.append(at_most(f"one of {count} hosts", MOST_PER_HOST, most, "requests/s"))
    return [table]


@contextmanager
def far_directory() -> Iterator[None]:
    """Make the directory, and let this process find it, alone, mounted from a file server for the time of the block."""
    os.mkdir("far", 0o700)
    before: list[tuple[Any, str, Any]] = []

    def patch(home: Any, name: str, value: Any) -> None:
        before.append((home, name, getattr(home, name)))
        setattr(home, name, value)

    take_for_remote(os.path.abspath("far"), patch)
    try:
        pylock.lock("first", directory=os.path.abspath("far"))  # by which it is looked at
        yield
    finally:
        for home, name, value in before:
            setattr(home, name, value)
