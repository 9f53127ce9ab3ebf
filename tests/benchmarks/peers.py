"""The locks that are compared, all behind one interface: `Peer.make` of a path gives a context manager.

The floor is the bare system call. A library that is not installed is left out.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from types import TracebackType

import pylock

Maker = Callable[[str], AbstractContextManager[object]]

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One kind of exclusive lock."""

    name: str
    make: Maker
    poll: float = 0.0
    """Seconds, at most, between two looks of one who waits; 0.0: it sleeps until it is woken."""
    waits: bool = True
    """Whether it can wait, and be used again after its release."""
    by_name: bool = False
    """Whether it takes the name of a lock, and finds the directory itself."""

    def path(self, name: str) -> str:
        """Return what to give to ``make`` for a lock that nobody but this kind of lock uses."""
        own = f"{name}-{self.name.replace(' ', '-')}"
        return own if self.by_name else os.path.abspath(own)


def flock(kind: int) -> bytes:
    """Return the ``struct flock`` that asks for one byte."""
    return struct.pack("hhqqi4x", kind, 0, 0, 1, 0)


WRITE_LOCK, READ_LOCK, UNLOCK = flock(fcntl.F_WRLCK), flock(fcntl.F_RDLCK), flock(fcntl.F_UNLCK)


class RawLock:
    """A lock that waits in the kernel, on a descriptor that stays open."""

    def __init__(self, path: str, request: bytes = WRITE_LOCK) -> None:
        self._file = open(path, "a+b")  # noqa: SIM115
        self._fd = self._file.fileno()
        self._request = request

    def __enter__(self) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, self._request)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, UNLOCK)


RAW = Peer("raw F_OFD_SETLKW", RawLock)
PYLOCK = Peer("pylock", pylock.lock, by_name=True)
FAIR = Peer("pylock fair", partial(pylock.lock, policy="fair"), by_name=True)


def _fasteners() -> Peer:
    import fasteners

    return Peer("fasteners", fasteners.InterProcessLock, poll=0.1)


def _portalocker() -> Peer:
    import portalocker

    # Without a timeout it gives up after five seconds.
    return Peer("portalocker", partial(portalocker.Lock, mode="a", timeout=HOUR), poll=0.25)


def _filelock() -> Peer:
    import filelock

    return Peer("filelock", filelock.FileLock, poll=0.05)


def _zc_lockfile() -> Peer:
    import zc.lockfile

    return Peer("zc.lockfile", lambda path: closing(zc.lockfile.LockFile(path)), waits=False)


_LIBRARIES = {
    "fasteners": _fasteners,
    "portalocker": _portalocker,
    "filelock": _filelock,
    "zc.lockfile": _zc_lockfile,
}


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def missing() -> list[str]:
    return [library for library in _LIBRARIES if not _is_installed(library)]


def installed() -> list[str]:
    return [library for library in _LIBRARIES if _is_installed(library)]


@cache
def libraries() -> tuple[Peer, ...]:
    """Return the other libraries' locks, imported."""
    return tuple(_LIBRARIES[library]() for library in installed())


def waiting_peers() -> tuple[Peer, ...]:
    """Return every lock that can wait, the floor first."""
    return RAW, PYLOCK, FAIR, *(peer for peer in libraries() if peer.waits)
