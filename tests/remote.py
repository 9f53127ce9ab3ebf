"""A lock directory taken for one of a file server, and a host that uses it.

As a program, ``python remote.py (FILE | -m MODULE) [ARGUMENT...]``, it runs another one as on such a host, with the
directory that PYLOCK_DIR names. The host is as forgetful as any NFS client may be, and without its mercy of a
time after which it would ask again by itself: what it has read once it reads again from its own memory, until it takes
a lock of the file; what it has written is for others to see once it is synced, or something is unlocked or
closed; and a name that was not there is not there until the directory is listed or the name is made.
"""

from __future__ import annotations

import builtins
import fcntl
import io
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from kernel import path_of, read_flock

_PAGE = 4096
_MOUNTS = "/proc/self/mountinfo"
HOST = [sys.executable, __file__]


def take_for_remote(directory: str, patch: Callable[[Any, str, Any], object] = setattr) -> None:
    """Let this process find the directory, and no other one, mounted from a file server."""
    real_open = open
    device = os.minor(os.stat(directory).st_dev)
    mount = f"1 0 0:{device} / {os.path.realpath(directory)} rw - nfs4 server:/locks rw\n"

    def open_(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if file == _MOUNTS:
            return io.BytesIO(mount.encode()) if "b" in mode else io.StringIO(mount)
        return real_open(file, mode, *arguments, **keywords)

    patch(builtins, "open", open_)
    patch(os, "major", lambda device: 0)  # that of file systems without a disk
    patch(os, "O_DIRECT", 0)  # which needs alignment on this one


class Host:
    """What stands between a program and the files of the directory."""

    CALLS: ClassVar = ("open", "close", "pread", "pwrite", "fsync", "fdatasync", "listdir", "posix_fadvise")

    def __init__(self, directory: str) -> None:
        self._directory = os.path.realpath(directory)
        self._pages: dict[tuple[int, int], bytes] = {}
        self._unsynced: dict[int, list[tuple[bytes, int]]] = {}
        self._missing: set[str] = set()
        self._real = {name: getattr(os, name) for name in self.CALLS}
        self._real_fcntl = fcntl.fcntl

    def begin(self) -> None:
        for name in self.CALLS:
            setattr(os, name, getattr(self, name))
        fcntl.fcntl = self.fcntl  # type: ignore[assignment]

    def open(self, path: Any, flags: int, *mode: int) -> int:
        if path in self._missing and not flags & os.O_CREAT:
            raise FileNotFoundError(2, "No such file, as this host believes", path)
        try:
            fd: int = self._real["open"](path, flags, *mode)
        except FileNotFoundError:
            if str(path).endswith(".lock"):
                self._missing.add(path)
            raise
        self._missing.discard(path)
        return fd

    def listdir(self, *path: Any) -> list[str]:
        self._missing.clear()
        names: list[str] = self._real["listdir"](*path)
        return names

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if not self._is_remote(fd):
            raw: bytes = self._real["pread"](fd, size, offset)
            return raw
        first = offset // _PAGE
        text = bytearray()
        for number in range(first, -(-(offset + size) // _PAGE)):
            if page := self._page(fd, number):
                place = (number - first) * _PAGE
                text[place:] = b"\0" * (place - len(text)) + page
        return bytes(text[offset - first * _PAGE :][:size])

    def pwrite(self, fd: int, raw: bytes, offset: int) -> int:
        if not self._is_remote(fd):
            size: int = self._real["pwrite"](fd, raw, offset)
            return size
        self._unsynced.setdefault(fd, []).append((raw, offset))
        for place, byte in enumerate(raw, offset):
            page = self._page(fd, place // _PAGE).ljust(place % _PAGE, b"\0")
            changed = page[: place % _PAGE] + bytes([byte]) + page[place % _PAGE + 1 :]
            self._pages[self._key(fd, place // _PAGE)] = changed
        return len(raw)

    def fsync(self, fd: int) -> None:
        self._write_back(fd)
        self._real["fsync"](fd)

    fdatasync = fsync

    def close(self, fd: int) -> None:
        self._write_back(fd)
        self._real["close"](fd)

    def posix_fadvise(self, fd: int, *advice: int) -> None:
        self._write_back(fd)
        self._forget(fd)

    def fcntl(self, fd: int, command: int, argument: Any = 0) -> Any:
        if command != fcntl.F_OFD_SETLK:
            return self._real_fcntl(fd, command, argument)
        self._write_back(fd)
        answer = self._real_fcntl(fd, command, argument)
        if read_flock(argument)[0] != fcntl.F_UNLCK:
            self._forget(fd)
        return answer

    def _write_back(self, fd: int) -> None:
        for raw, offset in self._unsynced.pop(fd, ()):
            self._real["pwrite"](fd, raw, offset)

    def _forget(self, fd: int) -> None:
        inode = os.fstat(fd).st_ino
        for key in [key for key in self._pages if key[0] == inode]:
            del self._pages[key]

    def _page(self, fd: int, number: int) -> bytes:
        key = self._key(fd, number)
        if key not in self._pages:
            self._pages[key] = self._real["pread"](fd, _PAGE, number * _PAGE)
        return self._pages[key]

    def _key(self, fd: int, number: int) -> tuple[int, int]:
        return os.fstat(fd).st_ino, number

    def _is_remote(self, fd: int) -> bool:
        return path_of(fd).startswith(self._directory + "/")


def run_program(words: list[str]) -> None:
    directory = os.environ["PYLOCK_DIR"]
    take_for_remote(directory)
    Host(directory).begin()
    sys.path[0] = os.path.dirname(os.path.abspath(__file__))
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    run_program(sys.argv[1:])
