"""The lock file as a file: how it comes into being and is opened; and the gate that guards what is written there."""

from __future__ import annotations

import os
from errno import EACCES, ENOENT, ESTALE
from stat import S_ISVTX
from time import sleep

from .._errors import explained
from .bytemap import END, GATE
from .byterange import byte_lock, find, let_go, read_lock, try_lock, unlock, write_lock
from .descriptors import close, drop, give_mode, open_noted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .directories import Directory

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_TAKE_GATE, _LEAVE_GATE = byte_lock(GATE), unlock(GATE, GATE + 1)
_SHARE_GATE = read_lock(GATE, GATE + 1)
EVERYTHING = write_lock(0, END)
"""What the remover of a file locks."""


def open_file(path: str, directory: Directory) -> int:
    """Open the lock file, made if it is not there.

    It is first opened without O_CREAT, because sticky directories refuse that on another user's file
    (proc_sys_fs(5), protected_regular). Raises OSError, BadLockFile.
    """
    try:
        return open_noted(path, _OPEN | directory.open_flags)
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
            return open_noted(path, _OPEN | directory.open_flags)
        except OSError as another:
            error = another
    _tell_what_is_denied(error, path)
    raise explained(error, path) from None  # the first one, perhaps that there is no file, is not what is wrong


def _tell_what_is_denied(error: OSError, path: str) -> None:
    """Complete the error, if it is one of permissions."""
    if error.errno == EACCES:
        error.strerror = f"{error.strerror}; {_why_denied(path)}"


def _why_denied(path: str) -> str:
    """Say which of the two is denied: to make the file, or to write it."""
    directory = os.path.dirname(path)
    what = "to take a lock, shared too, is to write its file"
    try:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            what = f"nobody has used this lock yet, and its file cannot be made in {directory}"
            status = os.stat(directory)
    except OSError:
        return f"{directory} is closed to this user"
    return f"{what}, which has mode {status.st_mode & 0o7777:04o} and is of user {status.st_uid}; see pylock check"


def create(path: str, directory: Directory) -> None:
    """Make an empty lock file, of the mode that its directory asks for now, unless somebody else just did."""
    directory.look_again()
    try:
        fd = open_noted(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
    except PermissionError as error:
        _tell_what_is_denied(error, path)
        raise
    except FileExistsError:
        if directory.remote:
            _ask_the_server_for(path, directory.file_mode)
        return
    try:
        give_mode(fd, directory.file_mode)
    except PermissionError:  # some mounts have no modes to change
        pass
    finally:
        close(fd)


def _ask_the_server_for(path: str, mode: int) -> None:
    """Make this host notice the file, which it may go on believing not to be there: O_CREAT asks the server.

    Made anew if it has gone again, and then with what umask leaves of the mode: what was perhaps made by somebody else
    is not to be changed.
    """
    try:
        close(open_noted(path, _OPEN | os.O_CREAT, mode | S_ISVTX))
    except PermissionError:  # another user's in a sticky directory (protected_regular): it was found, and refused
        pass


def _is_being_made(path: str) -> bool:
    """Whether its creator may be just about to give it its mode."""
    try:
        return os.lstat(path).st_size == 0
    except FileNotFoundError:
        return True


class Look:
    """A lock file, opened to look at it for the time of the block. Takes part in nothing, and needs only to read.

    Gives the descriptor, -1 if there is no such file. An OSError of the block comes out with the path.
    """

    __slots__ = ("_fd", "_flags", "_path", "_remote")

    def __init__(self, path: str, directory: Directory | None) -> None:
        """Without a directory what this host knows of the file is enough: no file server is asked."""
        self._path = path
        self._remote = directory is not None and directory.remote
        self._flags = _LOOK if directory is None else _LOOK | directory.open_flags
        self._fd = -1

    def __enter__(self) -> int:
        try:
            self._fd = self._open()
        except FileNotFoundError:
            return -1
        except OSError as error:
            raise explained(error, self._path) from error.__cause__
        if self._remote:
            self._make_fresh()
        return self._fd

    def _open(self) -> int:
        try:
            return open_noted(self._path, self._flags)
        except FileNotFoundError:
            # An NFS client remembers for half a minute that a file was absent; a listing asks the server.
            directory, name = os.path.split(self._path)
            if not self._remote or name not in os.listdir(directory):
                raise
            return open_noted(self._path, self._flags)

    def _make_fresh(self) -> None:
        """Make the next read come from the file server, as any lock of the file does."""
        try:
            if try_lock(self._fd, _SHARE_GATE):
                leave_gate(self._fd)
        except BaseException:
            drop(self._fd)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            drop(self._fd)
        if isinstance(error, OSError) and (better := explained(error, self._path)) is not error:
            raise better from error.__cause__


def is_at(fd: int, path: str) -> bool:
    """Whether the path still names the opened file."""
    try:
        ours, named = os.fstat(fd), os.lstat(path)
    except OSError as error:
        if error.errno in (ENOENT, ESTALE):
            return False
        raise
    return ours.st_nlink > 0 and (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


def is_being_removed(fd: int) -> bool:
    """Whether somebody is about to remove the file; who asks for a lock opens it anew in a moment."""
    held = find(fd, _TAKE_GATE)
    return held is not None and held[:2] == (0, END)


def take_gate(fd: int, tries: int = 2000, only_to_read: bool = False) -> bool:
    """Take the gate, which others hold for a moment; False if it was not free in as many tries, a millisecond each."""
    lock = _SHARE_GATE if only_to_read else _TAKE_GATE
    for _ in range(tries):
        if try_lock(fd, lock):
            return True
        sleep(0.001)
    return False


def leave_gate(fd: int) -> None:
    let_go(fd, _LEAVE_GATE)


def refresh(fd: int) -> None:
    """Make the next read come from the file server: taking any lock of the file empties the page cache."""
    if take_gate(fd):
        leave_gate(fd)
