"""What tests do beside pylock: lock bytes as a strange program does, and put something in place of a system call."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

GATE, ROOM, UNITS, SEATS, PENDING = 0, 1, 2, 1 << 40, (1 << 55) - 2
"""Places in the byte map of docs/explanation/protocol.md; PENDING + 1 is that of the sharing lane."""

_fcntl, _poll = fcntl.fcntl, select.poll
"""The real ones, whatever a test puts in their place."""
_SAFETY_MILLISECONDS = 50
"""Who sleeps longer than this for a bell does so to look for what no bell tells."""
_ASLEEP_MILLISECONDS = 20_000


@contextmanager
def strange_program(path: Path) -> Iterator[int]:
    """A descriptor of the lock file that is none of pylock's."""
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def lock_bytes(fd: int, start: int, length: int) -> None:
    """Write-lock them, the length 0 being all up to the end; BlockingIOError if somebody else has one."""
    _fcntl(fd, fcntl.F_OFD_SETLK, _flock(start, length))


def is_locked(path: Path, byte: int) -> bool:
    with strange_program(path) as fd:
        answer = _fcntl(fd, fcntl.F_OFD_GETLK, _flock(byte, 1))
    kind: int = struct.unpack_from("h", answer)[0]
    return kind != fcntl.F_UNLCK


def _flock(start: int, length: int) -> bytes:
    return struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)


def read_flock(flock: bytes) -> tuple[int, int, int]:
    """The kind, the start and the length of what somebody asks the kernel for."""
    kind, _, start, length = struct.unpack_from("hhqq", flock)
    return kind, start, length


@contextmanager
def replaced(module: ModuleType, name: str, by: Callable[..., Any]) -> Iterator[None]:
    """Let the rooms of pylock call ``by``, in whatever way they have imported the function."""
    real = getattr(module, name)
    _swap(module, real, by)
    try:
        yield
    finally:
        _swap(module, by, real)


def _swap(home: ModuleType, old: object, new: object) -> None:
    rooms = [room for name, room in sys.modules.items() if name.partition(".")[0] == "pylock"]
    for room in (home, *rooms):
        for name in [name for name, value in vars(room).items() if value is old]:
            setattr(room, name, new)


def failing_once(real: Callable[..., Any], error: int, when: Callable[..., bool]) -> Callable[..., Any]:
    """The call, which fails with the error the first time that ``when`` is true of its arguments."""
    failed = False

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal failed
        if not failed and when(*arguments):
            failed = True
            raise OSError(error, os.strerror(error))
        return real(*arguments, **keywords)

    return call


class Sleepers:
    """Waiters who never look by themselves: what is slept for a bell ends by the bell alone."""

    def __init__(self) -> None:
        self.asleep = 0

    def poll(self) -> _DeepSleep:
        """In place of ``select.poll``."""
        return _DeepSleep(self)


class _DeepSleep:
    def __init__(self, sleepers: Sleepers) -> None:
        self._poll = _poll()
        self._sleepers = sleepers
        self._has_bell = False

    def register(self, fd: int, events: int) -> None:
        self._poll.register(fd, events)
        self._has_bell = True

    def poll(self, milliseconds: int) -> list[tuple[int, int]]:
        if not self._has_bell or milliseconds < _SAFETY_MILLISECONDS:
            return self._poll.poll(milliseconds)
        self._sleepers.asleep += 1
        try:
            return self._poll.poll(_ASLEEP_MILLISECONDS)
        finally:
            self._sleepers.asleep -= 1


@contextmanager
def by_bells_alone() -> Iterator[Sleepers]:
    """No waiter of this process takes a safety look."""
    sleepers = Sleepers()
    with replaced(select, "poll", sleepers.poll):
        yield sleepers


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail, instead of going on for ever, in the main thread."""

    def strike(number: int, frame: object) -> None:
        raise AssertionError(f"goes on for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def path_of(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


def descriptors_of(path: Path | str) -> list[int]:
    """Those that this process has open of the file, or of what the kernel calls so."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if path_of(int(name)) == str(path):
                found.append(int(name))
        except FileNotFoundError:  # the one of the listing
            pass
    return found
