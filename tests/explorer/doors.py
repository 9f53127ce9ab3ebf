"""What pylock's rooms call instead of the operating system while a schedule is run: each call goes to the `world`.

Most calls are points at which another contender may go on, or this one be killed. Some are not, as nobody else can tell
whether they were done now or together with the call before: looks at what is one's own, the closing of what has no lock
and is no lock file's own FIFO, permissions, readiness once a sleep has ended.
"""

from __future__ import annotations

import fcntl as real_fcntl
import importlib
import os
import select as real_select
import stat
import struct
import sys
import time as real_time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pylock
from pylock import _process
from pylock._file.bytemap import END, PENDING, QUEUE, ROOM, SEAT_COUNT, SEATS, UNITS, YIELDING
from pylock._file.layout import SLOT_SIZE
from pylock._queue import sources

from .system import FREE, LAST, READ, WRITE, Description, Epoll

if TYPE_CHECKING:
    from .world import World

_ROOMS = (
    "_definitions", "_acquiring.conversion", "_acquiring.refusals", "_deadlock.cycles", "_file.removal", "_enums",
    "_several",
)  # fmt: skip
"""Rooms that pylock loads late, which must be there before the doors are put in."""
_KINDS = {real_fcntl.F_RDLCK: READ, real_fcntl.F_WRLCK: WRITE, real_fcntl.F_UNLCK: FREE}
_CODES = {kind: code for code, kind in _KINDS.items()}
_FLOCK = struct.Struct("hhqqi4x")
_NOW = 1_800_000_000
"""The time of day, in seconds, which stands still: all that begins in one schedule begins in the same millisecond."""


class Doors:
    """The functions that take the place of those of os, fcntl, select and time."""

    def __init__(self) -> None:
        self.world: World = None  # type: ignore[assignment]
        self._flocks: dict[bytes, tuple[str, int, int]] = {}

    # Locks

    def fcntl(self, fd: int, command: int, request: bytes) -> bytes:
        asked = self._flocks.get(request)
        if asked is None:
            asked = self._flocks[request] = _read_flock(request)
        me = self.world.running
        if command == real_fcntl.F_OFD_SETLK:
            self.world.call(lambda: f"{_verb(asked[0])} {spelled(*asked[1:])}")
            self.world.locks(fd, *asked)
            return request
        self.world.call(lambda: f"ask who has {spelled(*asked[1:])}")
        held = self.world.system.conflict(me.process, fd, *asked)
        me.learns(held)
        if held is None:
            return _FLOCK.pack(real_fcntl.F_UNLCK, 0, asked[1], 0, 0)
        start, stop, kind, _ = held
        return _FLOCK.pack(_CODES[kind], 0, start, 0 if stop == LAST else stop - start, -1)

    # Names

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        return self._done("open", path, lambda me, system: system.open(me.process, path, flags, mode))

    def mkfifo(self, path: str, mode: int) -> None:
        self._done("mkfifo", path, lambda me, system: system.mkfifo(me.process, path, mode))

    def unlink(self, path: str) -> None:
        self._done("unlink", path, lambda me, system: system.unlink(path))

    def lstat(self, path: str) -> os.stat_result:
        return self._done("lstat", path, lambda me, system: system.named(path).status())

    def stat(self, path: str) -> os.stat_result:
        return DIRECTORY_STATUS if path == DIRECTORY else self.lstat(path)

    def listdir(self, path: str) -> tuple[str, ...]:
        return self._done(
            "listdir", path, lambda me, system: tuple(name.rpartition("/")[2] for name in sorted(system.names))
        )

    def _done(self, verb: str, path: str, work: Callable[..., Any]) -> Any:
        world = self.world
        world.call(lambda: f"{verb} {path.rpartition('/')[2]}")
        return world.running.done(work, world.running, world.system)

    # Contents

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.world.call(lambda: f"read {size} bytes at {offset}")
        if size == SLOT_SIZE:
            self.world.reads_record(fd, offset)
        return self.world.running.done(lambda me: me.process.description(fd).inode.content[offset : offset + size])

    def pwrite(self, fd: int, text: bytes, offset: int) -> int:
        self.world.call(lambda: f"write at {offset}: {text[:60].rstrip().decode()}")
        size: int = self.world.running.done(lambda me: self.world.system.pwrite(me.process, fd, text, offset))
        self.world.has_written(fd, offset)
        return size

    def read(self, fd: int, most: int) -> bytes:
        self.world.call(lambda: "read the bell")
        return self.world.running.done(lambda me: self.world.system.read(me.process, fd, most))

    def write(self, fd: int, text: bytes) -> int:
        self.world.call(lambda: "ring")
        return self.world.running.done(lambda me: self.world.system.write(me.process, fd, text))

    # Descriptors

    def close(self, fd: int) -> None:
        process = self.world.alive().process
        opened = process.opened.get(fd)
        if isinstance(opened, Description) and (opened.inode.is_fifo or opened.inode.locks.of(opened.number)):
            self.world.call(lambda: f"close the descriptor {fd}")
        self.world.running.done(lambda me: self.world.system.close(process, fd))

    def dup(self, fd: int) -> int:
        return self.world.alive().done(lambda me: self.world.system.dup(me.process, fd))

    def lseek(self, fd: int, position: int, whence: int) -> int:
        description = self.world.alive().process.description(fd)
        if whence == os.SEEK_SET:
            description.position = position
        return description.position

    def fstat(self, fd: int) -> os.stat_result:
        return self.world.alive().done(lambda me: me.process.description(fd).inode.status())

    def fchmod(self, fd: int, mode: int) -> None:
        inode = self.world.alive().process.description(fd).inode
        inode.mode = stat.S_IFMT(inode.mode) | mode

    def fsync(self, fd: int) -> None:
        self.world.alive()

    def pidfd_open(self, pid: int) -> int:
        self.world.call(lambda: f"open a pidfd of {pid}")
        return self.world.running.done(lambda me: self.world.system.pidfd_open(me.process, pid))

    # Processes and time

    def getpid(self) -> int:
        return self.world.alive().process.pid

    def start_time(self, pid: int) -> int:
        return pid if pid in self.world.system.processes else 0

    def urandom(self, size: int) -> bytes:
        return self.world.alive().random().to_bytes(size)

    def monotonic(self) -> float:
        return self.world.running.clock

    def time_ns(self) -> int:
        return _NOW * 1_000_000_000

    def sleep(self, seconds: float) -> None:
        self.world.sleep((), seconds)

    def poll(self, fds: list[int], milliseconds: int) -> tuple[int, ...]:
        if milliseconds:
            self.world.sleep(fds, milliseconds / 1000)
        return self.world.alive().done(lambda me: self.world.system.is_readable(me.process, fds))


class _Poll:
    """In place of what select.poll makes."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def register(self, fd: int, events: int) -> None:
        self._fds.append(fd)

    def poll(self, milliseconds: int) -> list[tuple[int, int]]:
        return [(fd, real_select.POLLIN) for fd in DOORS.poll(self._fds, milliseconds)]


class _EpollDoor:
    """In place of what select.epoll makes."""

    def __init__(self) -> None:
        self._process = DOORS.world.alive().process
        self._epoll = Epoll()
        self._fd = self._process.note(self._epoll)

    def fileno(self) -> int:
        return self._fd

    def register(self, fd: int, events: int) -> None:
        self._epoll.watched.append(fd)

    def unregister(self, fd: int) -> None:
        DOORS.world.alive()
        self._epoll.watched.remove(fd)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        watched = DOORS.poll(self._epoll.watched, 0)
        return [(fd, real_select.EPOLLIN) for fd in watched]

    def close(self) -> None:
        DOORS.close(self._fd)


class _Module:
    """A module of the library, some of whose functions are doors."""

    def __init__(self, real: Any, doors: dict[str, Any]) -> None:
        self.__dict__.update(doors)
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


DIRECTORY = "/model"
"""The lock directory."""
DIRECTORY_STATUS = os.stat_result((stat.S_IFDIR | 0o700, 1, 1, 2, os.geteuid(), 0, 0, 0, 0, 0))
DOORS = Doors()
_OS = (
    "open", "mkfifo", "unlink", "lstat", "stat", "listdir", "pread", "pwrite", "read", "write", "close", "dup", "lseek",
    "fstat", "fchmod", "fsync", "pidfd_open", "getpid", "urandom",
)  # fmt: skip


def _stand_ins() -> dict[int, tuple[Any, Any]]:
    """What is replaced, by its identity, and by what."""
    pairs = [(getattr(os, name), getattr(DOORS, name)) for name in _OS]
    pairs += [(getattr(real_time, name), getattr(DOORS, name)) for name in ("sleep", "monotonic", "time_ns")]
    pairs += [
        (real_fcntl.fcntl, DOORS.fcntl),
        (_process.start_time, DOORS.start_time),
        (os, _Module(os, {name: getattr(DOORS, name) for name in _OS})),
        (real_select, _Module(real_select, {"poll": _Poll, "epoll": _EpollDoor})),
    ]
    return {id(real): (real, stand_in) for real, stand_in in pairs}


@contextmanager
def doors_in_place() -> Iterator[None]:
    """Let pylock call the doors, in whatever way its rooms have imported the functions."""
    for room in _ROOMS:
        importlib.import_module(f"pylock.{room}")
    assert sources._has_all()
    stand_ins, changed = _stand_ins(), []
    for room in [room for name, room in sys.modules.items() if name.partition(".")[0] == pylock.__name__]:
        for name, value in list(vars(room).items()):
            if id(value) in stand_ins:
                changed.append((room, name, value))
                setattr(room, name, stand_ins[id(value)][1])
    try:
        yield
    finally:
        for room, name, value in changed:
            setattr(room, name, value)


def _read_flock(flock: bytes) -> tuple[str, int, int]:
    code, _, start, length, _ = _FLOCK.unpack(flock)
    return _KINDS[code], start, start + length if length else LAST


def _verb(kind: str) -> str:
    return "unlock" if kind == FREE else f"{kind}-lock"


def spelled(start: int, stop: int) -> str:
    """The bytes, in the words of the byte map."""
    if start == 0 and stop >= END:
        return "EVERYTHING"
    if start == ROOM and stop >= END:
        return "ANYBODY"
    if start >= QUEUE:
        lane, ticket = divmod(start, 1 << 62)
        return f"TICKET {_ticket(ticket)}{' SH' if lane else ' EX'}" if stop == start + 1 else _queue(start, stop)
    for name, base, stop_of in (
        ("PENDING", PENDING, QUEUE),
        ("YIELDING", YIELDING, PENDING),
        ("SEAT", SEATS, YIELDING),
    ):
        if start >= base:
            return (
                f"{name} {start - base}" if stop == start + 1 else f"{name}S{'' if stop <= stop_of else ' and above'}"
            )
    if start < UNITS <= stop:
        return "GATE" if stop == 1 else "ROOM" if stop == UNITS else "ROOM and UNITS" if stop <= SEATS else "ALL"
    return {(0, 1): "GATE", (1, 2): "ROOM"}.get((start, stop), f"UNITS {start - UNITS} to {stop - UNITS}")


def _queue(start: int, stop: int) -> str:
    lane = "SH" if start >= 1 << 62 else "EX"
    return f"the {lane} QUEUE from {_ticket(start % (1 << 62))} to {_ticket(stop % (1 << 62))}"


def _ticket(number: int) -> str:
    """Its priority class, arrival (the last digits) and seat."""
    return f"{number >> 55}.{(number >> 14) % 1000}.{number % SEAT_COUNT}"
