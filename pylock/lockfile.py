"""The lock file as a file: how it comes into being and is opened; and the gate that guards what is written there."""

from __future__ import annotations

import os
from errno import ENOENT, ESTALE
from time import sleep

from .bytemap import GATE
from .byterange import let_go, try_lock, unlock, write_lock
from .descriptors import open_noted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .directories import Directory

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_TAKE_GATE, _LEAVE_GATE = write_lock(GATE, GATE + 1), unlock(GATE, GATE + 1)


def open_file(path: str, directory: Directory) -> int:
    """Open the lock file, made if it is not there, and note it in `descriptors.opened`.

    It is first opened without O_CREAT, because sticky directories refuse that on another user's file
    (proc_sys_fs(5), protected_regular). Raises OSError, BadLockFile.
    """
    try:
        return open_noted(path, _OPEN)
    except OSError as error:
        return _open_after(error, path, directory)


def _open_after(error: OSError, path: str, directory: Directory) -> int:
    """Remove the cause of the error if it is one of beginning, and open again."""
    for _ in range(100):
        if isinstance(error, FileNotFoundError):
            create(path, directory)
        elif isinstance(error, PermissionError) and _is_being_made(path):
            sleep(0.001)
        else:
            break
        try:
            return open_noted(path, _OPEN)
        except OSError as another:
            error = another
    from .failures import explained

    raise explained(error, path)


def create(path: str, directory: Directory) -> None:
    """Make an empty lock file, unless somebody else just did."""
    try:
        fd = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if directory.remote:
            # This host may go on believing that the file is not there; O_CREAT makes it ask the server.
            os.close(os.open(path, _OPEN | os.O_CREAT))
        return
    try:
        os.fchmod(fd, directory.file_mode)
    except PermissionError:  # some mounts have no modes to change
        pass
    finally:
        os.close(fd)


def _is_being_made(path: str) -> bool:
    """Whether its creator may be just about to give it its mode."""
    try:
        return os.lstat(path).st_size == 0
    except FileNotFoundError:
        return True


def is_at(fd: int, path: str) -> bool:
    """Whether the path still names the opened file."""
    try:
        ours, named = os.fstat(fd), os.lstat(path)
    except OSError as error:
        if error.errno in (ENOENT, ESTALE):
            return False
        raise
    return ours.st_nlink > 0 and (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


def take_gate(fd: int, tries: int = 2000) -> bool:
    """Take the gate, which others hold for a moment; False if it was not free in as many tries, a millisecond each."""
    for _ in range(tries):
        if try_lock(fd, _TAKE_GATE):
            return True
        sleep(0.001)
    return False


def leave_gate(fd: int) -> None:
    let_go(fd, _LEAVE_GATE)


def refresh(fd: int) -> None:
    """Make the next read come from the file server: taking any lock of the file empties the page cache."""
    if take_gate(fd):
        leave_gate(fd)
