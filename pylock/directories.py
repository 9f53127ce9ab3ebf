"""Lock directories: which one is meant, and what its files must be like."""

from __future__ import annotations

import os
import stat

from .errors import LockError, Unsupported
from .mounts import Mount, mount_of
from .process import loading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike


class Directory:
    """A lock directory that was looked at once and found fit."""

    __slots__ = ("_mount", "file_mode", "path", "private", "remote")

    def __init__(self, path: str, mode: int, mount: Mount | None) -> None:
        self.path = path
        self.file_mode = stat.S_IMODE(mode) & 0o666
        """Of new lock files: who may create locks here may take them. 0700 gives 0600, 2770 0660, 1777 0666."""
        self.private = not mode & 0o077
        """Whether nobody else can put a file here."""
        self._mount = mount
        self.remote = mount is not None and mount.remote

    @property
    def mount(self) -> Mount:
        """Which file system it is on."""
        return self._mount or mount_of(self.path)


_OWN = "/.local/state/pylock"
"""Of the user's own lock directory, below the home directory that the password database names."""

_SHARED_DISKS = ("/sys/fs/gfs2", "/sys/fs/ocfs2")
"""Where the kernel shows file systems that have a disk, and yet are in use by several hosts."""
_DISKLESS = frozenset((b"overlay", b"ramfs", b"tmpfs"))
"""File systems that have no disk of their own, and yet are in use by this host alone."""

_known: dict[str, Directory] = {}


def absolute(directory: str | PathLike[str]) -> str:
    """Return the directory as an absolute path, for which the current directory does not matter any more."""
    path = os.fspath(directory)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{directory!r} is not the name of a lock directory; give a path, or None for the default")
    return path.rstrip("/") or "/" if path[0] == "/" else os.path.abspath(path)


def resolve(directory: str | PathLike[str] | None) -> Directory:
    """Return the lock directory: the argument, else ``PYLOCK_DIR``, else the user's own, made if need be.

    Raises FileNotFoundError or NotADirectoryError for a given directory that is not there (it might be a
    file system that is not mounted, so it is never made), LockError for a user's own one that somebody else could
    write, Unsupported where the mount hides locks from other hosts.
    """
    path = (default_path() or _own_path()) if directory is None else absolute(directory)
    found = _known.get(path)
    if found is None:
        found = _known[path] = _look_at(path)
    return found


def default_path() -> str | None:
    """The directory that ``PYLOCK_DIR`` names, without a look at it; None if it names none. Raises ValueError."""
    given = os.environ.get("PYLOCK_DIR")
    if given and given[0] != "/":
        raise ValueError(f"PYLOCK_DIR is {given!r}; it must be an absolute path, the same for every program")
    return absolute(given) if given else None


def is_default(path: str) -> bool:
    """Whether this is the directory of those who name none."""
    return path == (default_path() or _own_path_or_none())


def _own_path() -> str:
    """The same from cron, ssh and a desktop: so neither $HOME, XDG_RUNTIME_DIR nor TMPDIR has a say."""
    with loading:
        import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = ""
    if not os.path.isdir(home):
        raise LockError(
            f"user {os.geteuid()} has no home directory to keep locks in; name a directory or set PYLOCK_DIR"
        )
    return home.rstrip("/") + _OWN


def _look_at(path: str) -> Directory:
    own = path.endswith(_OWN) and path == _own_path_or_none()
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        if not own:
            error.strerror = "lock directory does not exist; make it, or check that its file system is mounted"
            raise
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(20, "lock directory is not a directory", path)
    if own:
        _refuse_strangers(path)
    mount = None if _is_of_this_host(status.st_dev) else mount_of(path)
    if mount is not None and mount.locks_stay_on_this_host:
        raise Unsupported(
            f"{path} is mounted from {mount.source} with locks kept on this host, so that other hosts would not see"
            " them; mount it without nolock and local_lock",
            path=path,
        )
    return Directory(path, status.st_mode, mount)


def _is_of_this_host(device: int) -> bool:
    """Whether only this host has the file system, as far as its device tells without a look at all mounts.

    Source: Linux devices.txt: major number 0 is for file systems without a disk, such as those of a network.
    """
    if os.major(device):
        return not any(os.path.exists(path) for path in _SHARED_DISKS)
    number = f"0:{os.minor(device)}".encode()
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:  # proc_pid_mountinfo(5): id parent DEVICE ... - TYPE ...
            line = next((line for line in mounts if line.split(b" ", 3)[2] == number), b"")
    except OSError:
        return False
    return line.partition(b" - ")[2].partition(b" ")[0] in _DISKLESS


def _own_path_or_none() -> str | None:
    try:
        return _own_path()
    except LockError:
        return None


def _refuse_strangers(path: str) -> None:
    status = os.lstat(path)
    what = None
    if stat.S_ISLNK(status.st_mode):
        what = "is a symbolic link"
    elif status.st_uid != os.geteuid():
        what = f"belongs to user {status.st_uid}"
    elif status.st_mode & 0o022:
        what = f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    if what:
        raise LockError(f"the lock directory {path} {what}; make it a directory of your own with mode 0700")
