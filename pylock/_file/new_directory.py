"""Making lock directories, and giving existing ones a mode: never somebody else's, a filled one, or through a link.

Everything is done to one open directory, so that what was looked at is what is changed.
"""

from __future__ import annotations

import os
import stat

from .._errors import BadLockFile, LockError, harmless
from .directories import absolute
from .header import Gone, is_blank, read_head, read_header
from .layout import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def make_shared(path: str, mode: int, gid: int, *, force: bool) -> None:
    """Make a directory with this mode and group, or give them to an existing one; -1 leaves the group.

    An existing one must belong to this user, hold nothing but lock files, and not be opened to more users than before.
    With ``force`` it may be opened to more, and root may change one that belongs to somebody else.

    Raises LockError, which says what was wrong and what to do; OSError.
    """
    made = _make(path)
    try:
        fd = _open(path)
        try:
            status = os.fstat(fd)
            if status.st_uid != os.geteuid() and not (force and os.geteuid() == 0):
                raise _wrong(path, f"belongs to user {status.st_uid}", "name one of your own, or as root use --force")
            _refuse_filled(fd, path, _is_lock_file)
            if not made and not force:
                _refuse_wider(status, path, mode, gid)
            _change(fd, path, mode, gid)
        finally:
            os.close(fd)
    except BaseException:
        if made:
            os.rmdir(path)
        raise


def make_private(path: str) -> str:
    """Make a directory for this user alone unless it is there; return it as an absolute path.

    An existing one stays as it is: one of this user or of root, or one that a group shares, with nothing but lock
    files in it. Raises LockError, OSError, ValueError.
    """
    path = absolute(path)
    _make(path)
    fd = _open(path)
    try:
        status = os.fstat(fd)
        if status.st_uid not in (os.geteuid(), 0) and status.st_mode & stat.S_IWOTH:
            raise _wrong(
                path, f"belongs to user {status.st_uid} and is open to everybody", "have root make it: pylock init"
            )
        _refuse_filled(fd, path, _is_named_so)
    finally:
        os.close(fd)
    return path


def _make(path: str) -> bool:
    """Make it for this user alone; False if there is something already."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def _open(path: str) -> int:
    try:
        return os.open(path, _OPEN | os.O_DIRECTORY)
    except NotADirectoryError:
        what = "a symbolic link" if os.path.islink(path) else "no directory"
        raise _wrong(path, f"is {what}", "name the directory itself") from None


def _refuse_filled(fd: int, path: str, is_ours: Callable[[int, str], bool]) -> None:
    strangers = [name for name in sorted(os.listdir(fd)) if not is_ours(fd, name)]
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise _wrong(
            path, f'holds "{strangers[0]}"{more}, no lock file of pylock', "use a directory for lock files alone"
        )


def _is_named_so(fd: int, name: str) -> bool:
    """Whether it is called like a lock file, or like a bell of one."""
    lock_name, _, seat = name.rpartition(".")
    return name.endswith(SUFFIX) or (lock_name.endswith(SUFFIX) and seat.isascii() and seat.isdigit())


def _is_lock_file(fd: int, name: str) -> bool:
    """Whether it is a lock file, perhaps one that was just begun, or a bell."""
    try:
        if not name.endswith(SUFFIX):
            return _is_named_so(fd, name) and stat.S_ISFIFO(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
        file = os.open(name, _OPEN, dir_fd=fd)
    except FileNotFoundError:  # it was removed meanwhile
        return True
    except OSError:
        return False
    try:
        head = read_head(file) if stat.S_ISREG(os.fstat(file).st_mode) else b"?"
        return is_blank(head) or bool(read_header(head, None, name))
    except Gone:
        return True
    except BadLockFile:
        return False
    finally:
        os.close(file)


def _refuse_wider(status: os.stat_result, path: str, mode: int, gid: int) -> None:
    """Raise LockError if members of the group, or all others, could do more than before."""
    now = stat.S_IMODE(status.st_mode)
    others, members = now & 7, now >> 3 & 7
    if gid not in (-1, status.st_gid):
        members = others  # of the new group
    if (mode & 7) & ~others or (mode >> 3 & 7) & ~members:
        raise _wrong(
            path, f"has mode {now:04o}, and {mode:04o} would let more users in", "name a new one, or use --force"
        )


def _change(fd: int, path: str, mode: int, gid: int) -> None:
    try:
        os.fchown(fd, -1, gid)
    except PermissionError:
        raise _wrong(path, f"cannot be given to group {gid}", "only its members and root can do that") from None
    os.fchmod(fd, mode)


def _wrong(path: str, what: str, advice: str) -> LockError:
    return LockError(f"{harmless(path)} {harmless(what)}; {advice}")
