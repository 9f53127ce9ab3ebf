"""Forked processes that do one thing and are gone afterwards, whatever happens."""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a child that did not answer is taken for hung."""
LIFETIME = 300
"""Seconds after which the kernel ends a child whose parent was killed before it could."""


@contextmanager
def children(bodies: Iterable[Callable[[], None]]) -> Iterator[list[int]]:
    """Run each body in a process of its own; on leaving, those that still run are killed, and all are reaped."""
    pids: list[int] = []
    try:
        for body in bodies:
            pids.append(_fork(body))
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def _fork(body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(LIFETIME)
        body()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def finish(pids: Iterable[int]) -> None:
    """Wait until the children have ended, and leave them to be reaped. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    for pid in pids:
        # Looked at without reaping, so that the number cannot become another process's before it is killed.
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"child {pid} does not end")
            time.sleep(0.002)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that the children have had. Source: the kernel's sched-stats.rst, /proc/PID/schedstat."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def shared_integers(count: int) -> memoryview:
    """Return whole numbers, zero at first, that children forked from now on share with this process."""
    return memoryview(mmap(-1, 8 * count)).cast("q")


class Gate:
    """Lets children begin together: each says that it is ready, and none goes on before the parent opens."""

    def __init__(self) -> None:
        self._ready, self._say_ready = os.pipe()
        self._opened, self._open = os.pipe()

    def wait(self) -> None:
        """In a child: return once the gate is open."""
        os.close(self._open)
        os.write(self._say_ready, b"!")
        os.read(self._opened, 1)

    def open(self, count: int) -> None:
        """In the parent: wait for so many children, then let them all go. Raises TimeoutError."""
        while count:
            if not select.select([self._ready], [], [], PATIENCE)[0]:
                raise TimeoutError("a child does not get ready")
            count -= len(os.read(self._ready, count))
        for fd in (self._ready, self._say_ready, self._opened, self._open):
            os.close(fd)
