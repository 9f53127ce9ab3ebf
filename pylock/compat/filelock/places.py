"""Which pylock lock a path means, and its file."""

from __future__ import annotations

import os
from typing import NamedTuple

import pylock

AnyPath = str | os.PathLike[str]
UNSET_MODE = -1


class Place(NamedTuple):
    directory: str
    name: str

    def lock(self, mode: str, permissions: int) -> pylock.Lock:
        """Return a lock to acquire, with its directory made if need be, and its file if that is to have permissions."""
        os.makedirs(self.directory, exist_ok=True)
        if permissions != UNSET_MODE:
            _make_file(self.inspect().path, permissions)
        return pylock.lock(self.name, mode, directory=self.directory)

    def inspect(self) -> pylock.LockStatus:
        return pylock.inspect(self.name, self.directory)


def place_of(path: str) -> Place:
    """``DIR/NAME.lock`` is the lock NAME in DIR, whose file that is; any other ``DIR/BASE`` is the lock BASE."""
    directory, base = os.path.split(path)
    return Place(os.path.realpath(directory), base.removesuffix(".lock") or base)


def _make_file(path: str, permissions: int) -> None:
    """Make the lock file unless it is there; to pylock an empty file is a new one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
    except FileExistsError:
        return
    try:
        os.fchmod(fd, permissions)  # open leaves out what the umask says
    finally:
        os.close(fd)
